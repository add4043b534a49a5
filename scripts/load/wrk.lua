-- What wrk sends, and how it counts the answers. See wrk.sh.
wrk.method = "POST"
wrk.body = string.format('{"model":"%s","prompt":"Test","stream":false}', os.getenv("MODEL") or "llama2")
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. (os.getenv("OGP_TOKEN") or "")

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  served, refused, unexpected = 0, 0, 0
end

function response(status)
  if status == 200 then
    served = served + 1
  elseif status == 503 then
    refused = refused + 1
  else
    unexpected = unexpected + 1
  end
end

function done()
  local sums = { served = 0, refused = 0, unexpected = 0 }
  for _, thread in ipairs(threads) do
    for name, sum in pairs(sums) do
      sums[name] = sum + thread:get(name)
    end
  end
  print(string.format("served: %d, refused: %d, unexpected answers: %d",
    sums.served, sums.refused, sums.unexpected))
end
