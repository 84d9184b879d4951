-- For wrk: posts the requests of a file in turn, a line each: the path, a space, the body. A body
-- that is bytes is `hex:`, how many of them are the header of tensors, `:`, and its digits.
-- It prints one line of numbers at the end, which hosts.py reads.
local requests = {}
local next_request = 0

function init(arguments)
   for line in io.lines(arguments[1]) do
      local path, body = line:match("^(%S+) (.*)$")
      local headers = {["Content-Type"] = "application/json"}
      local header, digits = body:match("^hex:(%d+):(%x*)$")
      if header then
         headers["Inference-Header-Content-Length"] = header
         body = digits:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end)
      end
      if arguments[3] == "close" then headers["Connection"] = "close" end
      requests[#requests + 1] = wrk.format("POST", path, headers, body)
   end
   -- Milliseconds between an answer and the next request of its connection.
   local pause = tonumber(arguments[2])
   if pause and pause > 0 then delay = function() return pause end end
   -- Each thread begins somewhere else.
   next_request = math.random(#requests) - 1
end

function request()
   next_request = next_request % #requests + 1
   return requests[next_request]
end

function done(summary, latency)
   local errors = summary.errors
   print(string.format(
      "NUMBERS %d %d %d %d %d %d %d %d %d",
      summary.requests, summary.duration, summary.bytes,
      latency:percentile(50), latency:percentile(99), errors.status,
      errors.connect + errors.read + errors.write, errors.timeout,
      latency.max))
end
