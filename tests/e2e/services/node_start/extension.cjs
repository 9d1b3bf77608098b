// SPDX-License-Identifier: Apache-2.0
// As what compiles other languages does.
'use strict';
require.extensions['.odd'] = require.extensions['.js'];
