-- Gives the roles of roles.sql the passwords of the environment: for psql, in docker-compose.yml.
-- A server that is being recovered takes no changes, and has its roles from the backup.
SELECT pg_is_in_recovery() AS recovering \gset
\if :recovering
\quit
\endif
\getenv owner_password DATABASE_OWNER_PASSWORD
\getenv web_password DATABASE_WEB_PASSWORD
\getenv worker_password DATABASE_WORKER_PASSWORD
ALTER ROLE clinic_owner PASSWORD :'owner_password';
ALTER ROLE clinic_web PASSWORD :'web_password';
ALTER ROLE clinic_worker PASSWORD :'worker_password';
