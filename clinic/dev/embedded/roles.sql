-- Who logs in to the database, and how long each may wait (docs/decisions/0032). Run by a superuser in the clinic's
-- database at every start, by the embedded server and by docker-compose.yml; what is there already it leaves alone.
-- A server that is being recovered takes no changes, and has its roles from the backup.
SELECT pg_is_in_recovery() AS recovering \gset
\if :recovering
\quit
\endif
BEGIN;
SET LOCAL client_min_messages = warning;
-- Roles belong to the whole server: of two starts at once, in two databases, one waits.
LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE;

DO $$
DECLARE
    each_role text;
    command text;
BEGIN
    FOREACH each_role IN ARRAY ARRAY['clinic_owner', 'clinic_web', 'clinic_worker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = each_role) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', each_role);
        END IF;
    END LOOP;

    -- The owner migrates. What an earlier release made belongs to whoever migrated then.
    FOR command IN
        SELECT format('ALTER DATABASE %I OWNER TO clinic_owner', datname)
          FROM pg_database
         WHERE datname = current_database() AND pg_get_userbyid(datdba) <> 'clinic_owner'
        UNION ALL
        SELECT format('ALTER %s %s OWNER TO clinic_owner',
                      CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                                   ELSE 'TABLE' END,
                      oid::regclass)
          FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
           AND pg_get_userbyid(relowner) <> 'clinic_owner'
           -- A column's sequence goes with its table, an extension's things stay with the extension.
           AND NOT EXISTS (SELECT FROM pg_depend
                            WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
                              AND (deptype = 'e' OR relkind = 'S' AND deptype IN ('a', 'i')))
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO clinic_owner', oid::regprocedure)
          FROM pg_proc
         WHERE pronamespace = 'public'::regnamespace AND pg_get_userbyid(proowner) <> 'clinic_owner'
           AND NOT EXISTS (SELECT FROM pg_depend
                            WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')
    LOOP
        EXECUTE command;
    END LOOP;
END $$;

-- A person waits for the web: better a refusal in seconds. The worker waits for nobody's eyes, the owner for a table.
ALTER ROLE clinic_web SET lock_timeout = '5s';
ALTER ROLE clinic_web SET statement_timeout = '30s';
ALTER ROLE clinic_web SET idle_in_transaction_session_timeout = '1min';
ALTER ROLE clinic_worker SET lock_timeout = '15s';
ALTER ROLE clinic_worker SET statement_timeout = '10min';
ALTER ROLE clinic_worker SET idle_in_transaction_session_timeout = '10min';
ALTER ROLE clinic_owner SET lock_timeout = '1min';
ALTER ROLE clinic_owner SET statement_timeout = '2h';
ALTER ROLE clinic_owner SET idle_in_transaction_session_timeout = '1h';
-- So that nobody has to set it on a connection, which a pooler would hand on to others.
ALTER ROLE clinic_web SET timezone = 'UTC';
ALTER ROLE clinic_worker SET timezone = 'UTC';
ALTER ROLE clinic_owner SET timezone = 'UTC';

-- Web and worker read and write all rows, and change no table.
GRANT USAGE ON SCHEMA public TO clinic_web, clinic_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clinic_web, clinic_worker;
GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO clinic_web, clinic_worker;
GRANT MAINTAIN ON ALL TABLES IN SCHEMA public TO clinic_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE clinic_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO clinic_web, clinic_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE clinic_owner IN SCHEMA public
    GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO clinic_web, clinic_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE clinic_owner IN SCHEMA public GRANT MAINTAIN ON TABLES TO clinic_worker;
COMMIT;
