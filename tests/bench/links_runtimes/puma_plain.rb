# SPDX-License-Identifier: Apache-2.0
# A connection is its thread's until it is closed.
queue_requests false
