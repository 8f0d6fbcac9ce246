-- name: decision_overrides
-- Slots of a decision that showed another item than the one ranked, and which; the first to say so.
SELECT slot, argMin(id, (ts, writer, seq)) AS shown
FROM exposures
ARRAY JOIN overridden AS slot, overridden_by AS id
WHERE event_id = {event_id:UUID}
  AND decision_ts BETWEEN fromUnixTimestamp64Milli({since_ms:Int64})
                      AND fromUnixTimestamp64Milli({until_ms:Int64})
GROUP BY slot
ORDER BY slot
