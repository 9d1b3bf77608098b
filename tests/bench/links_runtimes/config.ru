# SPDX-License-Identifier: Apache-2.0
# On Puma.
require_relative 'ask'

Ask.start
run(lambda do |env|
  later = Ask.answer(env['PATH_INFO'])
  env['rack.after_reply'] << later if later
  [200, { 'Content-Length' => '3' }, ["ok\n"]]
end)
