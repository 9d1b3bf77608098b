# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests stand on: processes, ports, raw HTTP, upstreams that record, spans."""
