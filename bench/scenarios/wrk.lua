-- wrk.lua - prints what wrk has measured as one line of JSON. Usage: wrk -t12 -c400 -d30s -s bench/scenarios/wrk.lua URL
-- The latencies are wrk's own: from when it sent a request, not from when it was due.
local keys = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99_9", 99.9}, {"p99_99", 99.99}}

done = function(summary, latency, requests)
  local out = {}
  for _, key in ipairs(keys) do
    out[#out + 1] = string.format('"%s":%.1f', key[1], latency:percentile(key[2]))
  end
  local curve, seen, share = {}, 0, 0
  for share = 0.5, 99.99, 0.5 do
    local count = math.floor(summary.requests * share / 100) - seen
    seen = seen + count
    curve[#curve + 1] = string.format("[%.1f,%d]", latency:percentile(share), count)
  end
  curve[#curve + 1] = string.format("[%.1f,%d]", latency.max, math.max(summary.requests - seen, 1))
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"bytes":%d,"elapsed_s":%.6f,"latency_us":{%s,"mean":%.3f,"stddev":%.3f,"min":%.1f,"max":%.1f},' ..
    '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d},"curve":[%s]}\n',
    summary.requests, summary.bytes, summary.duration / 1e6, table.concat(out, ","), latency.mean, latency.stdev,
    latency.min, latency.max, errors.connect, errors.read, errors.write, errors.status, errors.timeout,
    table.concat(curve, ",")))
end
