-- A node reserves tokens of one budget.  A token that left here goes on
-- occupying the budget until the node has said that it is spent or given back,
-- or until it can no longer be spent.
--
-- KEYS: the budget, its shard's mark.  ARGV: kind (r: rate, q: quota of a
-- period), node, ep, seq (the same ones: the same message), rem (tokens that
-- the node still has), back (that it gives back), want, need (of the call that
-- waits), cum (got before this), ttl, hold, el (us since the last message that
-- had an answer; -1: none), born (the mark that the node knows; 0: none),
-- limit, interval (us of a token), known period's start, four boundaries of
-- periods (ms), credit (tokens that were told as spent and were not; negative:
-- that were used without being asked for, and are owed).  All times of the
-- answer are durations, in us.

local OWED = 86400e6                        -- us of a rate, at most
local LIVE, WAS, DUP, OLD, HEAL, RECOVER, GAP = 1e18, 60e6, 1, 2, 4, 8, 16

local kind, node = ARGV[1], 'n:' .. ARGV[2]
local n = {}
for i = 3, 21 do n[i] = tonumber(ARGV[i]) end
local ep, seq, rem, back, want, need, cum = unpack(n, 3, 9)
local ttl, hold, el, born, limit, T, kps = unpack(n, 10, 16)
local credit, debt = math.max(n[21], 0), math.max(-n[21], 0)
local rate = kind == 'r'

local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local flags = 0

-- the shard: since when it is there, and does anybody know an older one

local mark, fresh, lost = now, born == 0, false
local m = redis.call('GET', KEYS[2])
if m then
    local b, f = string.match(m, '^(%d+)(f?)$')
    if not b then return redis.error_reply('STOA mark of another kind') end
    mark, fresh = tonumber(b), f == 'f'
end
if not m or (fresh and born > 0 and born ~= mark and now - mark < WAS) then
    fresh = born == 0
    redis.call('SET', KEYS[2], string.format('%.0f', mark)
                               .. (fresh and 'f' or ''))
end
redis.call('PEXPIRE', KEYS[2], 6048000000)
lost = not fresh and now - mark < (rate and 1.5 * ttl or 15e6)

-- the period that holds now, by the one clock that counts

local ps, pe = 0, 0
if not rate then
    for i = 17, 19 do
        if n[i] * 1000 <= now and now < n[i + 1] * 1000 then
            ps, pe = n[i], n[i + 1]
        end
    end
    if pe == 0 then return redis.error_reply('STOA clocks are days apart') end
end

-- the header

local function header()
    return { v = 1, off = 0, at = now, lim = limit, T = T, lvl = 0, out = 0,
             n = 0, sw = 0, nx = LIVE, miss = 0, chg = 0, ps = ps, pe = pe,
             sum = 0, rec = 0 }
end

local h = redis.call('HGET', KEYS[1], 'h')
h = h and cmsgpack.unpack(h)
if h and h.v ~= 1 then
    return redis.error_reply('STOA budget of another version')
end
if h and not rate and ps >= h.pe then
    redis.call('DEL', KEYS[1])
    h = header()
end
if not rate and kps ~= (h and h.ps or ps) then
    rem, back, cum, credit, debt = 0, 0, 0, 0, 0
end
if not h then
    h = header()
    if lost or cum > 0 or rem > 0 then
        if rate then
            h.lvl, h.chg = limit * T, now + 1.5 * ttl
        else
            h.rec = now + 10e6
        end
    end
end
if h.lim ~= limit or h.T ~= T then
    if rate then h.lvl = math.min(h.lvl / h.T, limit) * T end
    h.lim, h.T = limit, T
end
if not rate and ps > h.ps then h.ps, h.pe = ps, pe end

-- the budget's own time: it never stands back, and a leap of the clock counts
-- for no more than the node was silent

local L = now + h.off
if L < h.at then
    h.off, L = h.off + h.at - L, h.at
elseif el >= 0 and L - h.at > el then
    h.off, L = h.off - (L - h.at - el), h.at + el
end

if rate then
    local live = math.max(h.n, 1)
    h.lvl = math.max(h.lvl - (L - h.at) * live / (live + h.miss), h.out * T)
end
h.at = L

-- rows that are over

local function sweep()
    h.out, h.n, h.sw, h.nx, h.miss = 0, 0, 0, LIVE, 0
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
        if all[i] ~= 'h' then
            local r = cmsgpack.unpack(all[i + 1])
            if r.exp > L then
                h.out, h.n, h.sw = h.out + r.out, h.n + 1, h.sw + r.want
                h.nx = math.min(h.nx, r.exp)
            elseif r.hold > 0 and L < r.exp + r.hold then
                h.miss, h.nx = h.miss + 1, math.min(h.nx, r.exp + r.hold)
            elseif rate and L < r.exp + ttl then
                h.nx = math.min(h.nx, r.exp + ttl)
            elseif rate then
                redis.call('HDEL', KEYS[1], all[i])
            end
        end
    end
end
if L >= h.nx then sweep() end

-- the node's row

local function answer(g, left, retry, r)
    return { g, left, 0, retry, h.n, flags, h.pe, r and r.cum or 0, mark,
             h.ps }
end

local r = redis.call('HGET', KEYS[1], node)
r = r and cmsgpack.unpack(r)
local live = r and r.exp > L
if r and r.ep ~= ep then
    if ep < r.ep then
        flags = OLD
        return answer(0, 0, 0, r)
    end
    if live then
        h.out, h.sw, h.n = h.out - r.out, h.sw - r.want, h.n - 1
    end
    r, live = { ep = ep, seq = 0, out = 0, exp = 0, want = 0, hold = 0,
                cum = rate and 0 or r.cum, g = 0 }, false
elseif not r then
    r = { ep = ep, seq = 0, out = 0, exp = 0, want = 0, hold = 0, cum = 0,
          g = 0 }
end
if seq == r.seq then
    flags = DUP
    return answer(r.g, rate and math.max(0, r.exp - L)
                       or math.max(0, h.pe * 1000 - now), 0, r)
end
if seq < r.seq or (rate and r.exp > 0 and not live and rem + back > 0) then
    flags = OLD
    return answer(0, 0, 0, r)
end

if live then
    h.out, h.sw, h.n = h.out - r.out, h.sw - r.want, h.n - 1
elseif rate and r.exp > 0 then
    r.out = 0
end

-- it got more than is known here: writes were lost, or it had to do without

local gap = cum - r.cum
if gap > 0 then
    flags = flags + HEAL
    if rate then
        h.lvl = math.max(h.lvl, math.min(h.lvl + gap * T, limit * T))
        if rem + back > r.out then h.chg = L + 1.5 * ttl end
    else
        h.sum = h.sum + gap
    end
    r.out = r.out + math.min(gap, math.max(0, rem + back - r.out))
    r.cum = cum
end

back = math.min(back, r.out)
r.out = math.min(rem, r.out)
r.cum = math.max(0, r.cum - back - credit)
h.out = h.out + r.out
if rate then
    h.lvl = math.max(h.lvl - (back + credit) * T, h.out * T)
    h.lvl = math.max(h.lvl, math.min(h.lvl + debt * T, limit * T + OWED))
else
    h.sum = math.max(0, h.sum - back - credit) + debt
end

-- what there is, and how much of it this node gets

local free = rate and limit * T - math.max(h.lvl, h.out * T)
                      - (L < h.chg and limit * T / 2 or 0)
local avail = rate and math.floor(free / T + 1e-6) or limit - h.sum
if not rate and L < h.rec then
    flags, avail = flags + RECOVER, 0
end
avail = math.max(0, avail)

local g = 0
local sw = h.sw + want
if want > 0 and avail > 0 then
    g = h.n == 0 and avail
        or math.max(1, math.floor(avail / 2 * want / sw))
    g = math.min(g, want)
    if rate then
        g = math.min(g, math.max(0, (limit >= 8 and math.floor(limit / 2)
                                     or limit) - r.out))
    end
    if h.n > 0 and avail <= 4 * (h.n + 1) * math.max(need, 1) then
        g = math.min(g, need)
    end
    if need > g and need <= avail then g = need end
    if need > g then g = 0 end
    g = math.min(g, avail)
end
avail = avail - g
if g < want and rate and limit >= 64 and h.n > 0 and avail * 8 < limit
   and sw * T > 500000
then
    flags = flags + GAP
end

local retry = 0
if need > g then
    retry = rate and math.max(need * T - free, 1)
            or (L < h.rec and h.rec - L or h.pe * 1000 - now)
end

h.out = h.out + g
if rate then h.lvl = h.lvl + g * T else h.sum = h.sum + g end
local bye = want == 0 and r.out + g == 0
r.seq, r.out, r.cum, r.g = seq, r.out + g, r.cum + g, g
r.want, r.exp, r.hold = want, bye and L or L + ttl, bye and 0 or hold
if not bye then
    h.n, h.sw, h.nx = h.n + 1, h.sw + want, math.min(h.nx, r.exp)
end

redis.call('HSET', KEYS[1], 'h', cmsgpack.pack(h), node, cmsgpack.pack(r))
redis.call('PEXPIRE', KEYS[1], math.min(6048000000, math.ceil(rate
    and (math.max(limit * T, h.lvl) + 3 * ttl + hold) / 1000
    or h.pe - now / 1000 + 172800000)))

local a = answer(g, rate and (bye and 0 or ttl) or h.pe * 1000 - now, retry, r)
a[3] = avail
return a
