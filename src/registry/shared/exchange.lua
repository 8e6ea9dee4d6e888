-- KEYS: version, log, life, own lease, own session
-- ARGV: known version, known life, changes, lease in ms, length of the log, prefix, channel, number of the session, how
-- long it is kept in ms, other registries ...
local version = tonumber(redis.call('GET', KEYS[1]) or '0')
redis.call('SET', KEYS[4], '1', 'PX', ARGV[4])
local gone = {}
for i = 10, #ARGV do
    if redis.call('EXISTS', ARGV[6] .. 'registry:' .. ARGV[i]) == 0 then
        gone[#gone + 1] = ARGV[i]
    end
end
-- Another session has begun since this was sent, and was told that it does not count.
if redis.call('HGET', KEYS[5], 'number') ~= ARGV[8] then
    return {-1, version, {}, gone}
end
redis.call('PEXPIRE', KEYS[5], ARGV[9])
local missing = version - tonumber(ARGV[1])
if redis.call('GET', KEYS[3]) ~= ARGV[2] or missing < 0 or missing > redis.call('LLEN', KEYS[2]) then
    return {-1, version, {}, gone}
end
if missing > 0 then
    return {0, version, redis.call('LRANGE', KEYS[2], -missing, -1), gone}
end
if ARGV[3] ~= '[]' then
    for _, change in ipairs(cjson.decode(ARGV[3])) do
        if change[3] == cjson.null then
            redis.call('HDEL', ARGV[6] .. change[1], change[2])
        else
            redis.call('HSET', ARGV[6] .. change[1], change[2], change[3])
        end
    end
    version = redis.call('INCR', KEYS[1])
    redis.call('HSET', KEYS[5], 'taken', version)
    redis.call('RPUSH', KEYS[2], ARGV[3])
    redis.call('LTRIM', KEYS[2], -tonumber(ARGV[5]), -1)
    redis.call('PUBLISH', ARGV[7], version .. ' ' .. ARGV[3])
end
return {1, version, {}, gone}
