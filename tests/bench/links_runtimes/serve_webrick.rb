# SPDX-License-Identifier: Apache-2.0
# WEBrick: a thread for each connection. Arguments: port.
require 'webrick'
require_relative 'ask'

Ask.start
server = WEBrick::HTTPServer.new(BindAddress: '127.0.0.1', Port: ARGV[0].to_i, AccessLog: [], MaxClients: 200,
                                 Logger: WEBrick::Log.new($stderr, WEBrick::Log::WARN))
server.mount_proc('/') do |request, response|
  Ask.answer(request.path)
  response.body = "ok\n"
end
trap('TERM') { server.shutdown }
server.start
