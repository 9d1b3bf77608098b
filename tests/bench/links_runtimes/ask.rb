# SPDX-License-Identifier: Apache-2.0
# What a service in Ruby does with a request /SHAPE/r/ID: as links_services/ask.py, with Net::HTTP. It
# knows nothing of tracing.
require 'net/http'

module Ask
  UPSTREAM = ENV.fetch('UPSTREAM').to_i
  JOBS = Queue.new
  FREE = Queue.new

  module_function

  def connection(host = '127.0.0.1')
    c = Net::HTTP.new(host, UPSTREAM)
    c.keep_alive_timeout = 60
    c.start
  end

  def get(number, number_of, by = own)
    by.get("/out/#{number}/#{number_of}").body
  end

  # Kept by each thread.
  def own
    Thread.current[:ask] ||= connection
  end

  def pause
    sleep(rand * 0.01)
  end

  def in_turn(number, by = own)
    2.times { |n| get(number, n, by) }
  end

  def before(number)
    pause
    in_turn(number)
  end

  def between(number)
    3.times do |n|
      get(number, n)
      pause
    end
  end

  def pool(number)
    c = FREE.pop
    in_turn(number, c)
  ensure
    FREE.push(c)
  end

  def fresh(number)
    2.times { |n| Net::HTTP.get(URI("http://127.0.0.1:#{UPSTREAM}/out/#{number}/#{n}")) }
  end

  def names(number)
    2.times { |n| Net::HTTP.get(URI("http://localhost:#{UPSTREAM}/out/#{number}/#{n}")) }
  end

  def gather(number)
    Array.new(3) { |n| Thread.new { Net::HTTP.get(URI("http://127.0.0.1:#{UPSTREAM}/out/#{number}/#{n}")) } }
         .each(&:join)
  end

  # To the threads of a pool.
  def lost(number)
    2.times do |n|
      done = Queue.new
      JOBS.push([number, n, done])
      done.pop
    end
  end

  def start
    4.times { FREE.push(connection) }
    8.times do
      Thread.new do
        loop do
          number, n, done = JOBS.pop
          get(number, n)
          done.push(true)
        end
      end
    end
    background if ENV['BACKGROUND']
  end

  def background
    Thread.new do
      loop do
        own.get('/background').body
        sleep 0.005
      end
    end
  end

  # Returns what is to be done when the answer has been sent, or nil.
  def answer(path)
    _, shape, _, number = path.split('/')
    return -> { in_turn(number) } if shape == 'after'

    raise shape unless %w[before between pool fresh names gather lost].include?(shape)

    send(shape, number)
    nil
  end
end
