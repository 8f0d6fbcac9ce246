-- name: applied_migrations
-- Name and digest of every migration that was applied; two processes may have noted it twice.
SELECT name, any(digest) AS digest
FROM migrations
GROUP BY name
ORDER BY name
