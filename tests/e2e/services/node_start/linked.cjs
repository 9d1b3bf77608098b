// SPDX-License-Identifier: Apache-2.0
// Whether the script is there.
'use strict';
console.log(require('diagnostics_channel').channel('http.server.request.start').hasSubscribers);
