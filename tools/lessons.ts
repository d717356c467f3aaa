// What running this kind of container (an API, Grafana, a supervisor, perhaps nginx, before a Supabase database) has taught:
// one rule for each trouble that really happened. tools/generate-lessons.ts looks for the tests that name each id.

export interface Lesson {
  rule: string
  /** What no test of this repository proves yet, and why. A rule that no test names must have it. */
  open?: string
}

export interface Chapter {
  title: string
  lessons: Record<string, Lesson>
}

const needsGrafana =
  'The real Grafana is not among the test programs; a stand-in speaks its rules, and `GRAFANA_BIN` runs the same tests with the real one.'
const needsRender = 'Needs Render itself.'

export const chapters: Chapter[] = [
  {
    title: 'Ports',
    lessons: {
      P1: { rule: 'A port stands in one place; every other file that has it is compared with that place.' },
      P2: { rule: 'Each public path has a smoke test through the entry port, in both topologies.' },
      P3: { rule: 'One port is public; everything else listens on 127.0.0.1.' },
      P4: { rule: 'Compose publishes the entry port and nothing beside it.' },
      P5: {
        rule: 'Only the outer side of a published port may vary.',
      },
    },
  },
  {
    title: 'Paths /grafana and /server',
    lessons: {
      U1: { rule: 'Every hop keeps the prefix `/grafana`; `proxy_pass` has no path of its own.' },
      U2: { rule: 'All methods pass, with their bodies.' },
      U3: { rule: 'Bodies are streamed, repeated headers kept; a Grafana that is down is a plain 503.' },
      U4: { rule: 'The API answers with and without its prefix.' },
      U5: { rule: 'Programs of one machine call each other at 127.0.0.1, not at localhost.' },
      U6: { rule: 'CORS headers come from the API alone.' },
      U7: { rule: 'Security headers come from the API, also on errors.' },
      U8: { rule: 'nginx allows the largest body that the API allows, and refuses larger ones in the API’s form.' },
      U9: { rule: 'Long work is a job with an id; proxies wait longer than the longest answer.' },
    },
  },
  {
    title: 'WebSockets and streams',
    lessons: {
      W1: { rule: 'Upgrades pass through every proxy.' },
      W2: { rule: 'There is one nginx template, and the file that runs is generated from it.' },
      W3: { rule: 'Streams are not buffered, and kept alive by pings and comments.' },
      W4: { rule: 'Grafana Live is off, or allowed from the public address only.', open: needsGrafana },
      W5: { rule: 'A supervised program is never behind a pipe or a shell, which would hide its exit status.' },
      W6: { rule: 'Streams carry numbers, and clients resume with the last one they have.' },
    },
  },
  {
    title: 'Users, permissions, files',
    lessons: {
      F1: { rule: 'Folders that are written to are made at each start, with the right owner.' },
      F2: { rule: 'No braces in commands that the plain shell runs.' },
      F3: { rule: 'The supervisor works as root and as any other user.' },
      F4: { rule: 'nginx writes into folders of ours.' },
      F5: { rule: 'Files are given only to users that the image has.' },
      F6: { rule: '`/tmp` is left alone.' },
      F7: { rule: 'Generated configuration goes to a folder that is never mounted; the root file system may be read-only.' },
      F8: { rule: 'Without root the entry port is above 1023.' },
    },
  },
  {
    title: 'Logs',
    lessons: {
      L1: { rule: 'Logs are in files and in the output of the container, with the name of the program.' },
      L2: { rule: 'Log files of the supervisor are files, never devices with rotation.' },
      L3: { rule: 'One writer for the output; lines are never cut or mixed.' },
      L4: { rule: 'Logs have a largest size.' },
      L5: { rule: 'Messages name settings and never repeat their values.' },
      L6: { rule: 'Health checks leave no log lines.' },
    },
  },
  {
    title: 'Environment and configuration',
    lessons: {
      E1: { rule: 'No `%(ENV_X)s` in supervisor files: a missing variable must not end the start.' },
      E2: { rule: 'Passwords with any character arrive unchanged; secrets never pass through supervisor files.' },
      E3: { rule: 'URLs are read by a URL parser, decoded and encoded again.' },
      E4: { rule: 'Configuration is generated, never edited in place: three starts make the same files.' },
      E5: { rule: 'A bad value stops the start; all problems are named at once.' },
      E6: { rule: 'The build context holds no environment file, key or dump.' },
      E7: { rule: 'One variable has the public URL; everything else follows from it.' },
      E8: { rule: 'Every YAML, JSON and INI file is parsed by the tests.' },
      E9: {
        rule: 'A key that does not fit the existing data stops the start and is never replaced in silence.',
        open: needsGrafana,
      },
    },
  },
  {
    title: 'Database connection',
    lessons: {
      D1: {
        rule: 'A database that has IPv6 addresses only is named as that, with the session pooler as the cure; IPv4 is tried first.',
      },
      D2: { rule: 'A transaction pooler is recognized at the start and said; nothing here depends on sessions.' },
      D3: { rule: 'A server opens at most 5 connections, with its Grafana 7, and gives them back when it stops.' },
      D4: { rule: 'Expiry is judged by the clock of the database alone.' },
      D5: { rule: 'What other servers wrote is found by asking; nothing depends on NOTIFY.' },
      D6: { rule: 'The port opens without the database, which is tried again until it is there.' },
      D7: { rule: 'Other roles of the database, such as the public one of Supabase, may do nothing with our tables.' },
    },
  },
  {
    title: 'Grafana',
    lessons: {
      G1: { rule: 'Dashboards come from files; the state of Grafana may be thrown away.' },
      G2: { rule: 'Data sources have fixed ids.' },
      G3: { rule: 'Every query of every panel runs against a migrated database.' },
      G4: { rule: 'Core panels only.' },
      G5: { rule: 'Whoever sends SQL through a dashboard reads the views of one team, for at most 10 s, and writes nothing.' },
      G6: { rule: 'Identity headers of clients are removed.' },
      G7: { rule: 'Factory login and factory signing key are refused.' },
      G8: {
        rule: 'Frames are allowed to named origins only, and cookies go to other sites only where needed.',
        open: needsGrafana,
      },
      G9: { rule: 'Nobody signs in to an organization that does not exist.', open: needsGrafana },
      G10: { rule: 'Alerting and usage reports are off where Grafana has SQLite.', open: needsGrafana },
      G11: { rule: 'Links are relative to the public address.' },
      G12: { rule: 'Grafana quotes the values of variables; no query does it by hand.' },
    },
  },
  {
    title: 'Render',
    lessons: {
      R1: { rule: '`render.yaml` is in the root, and its port is the one of the image.', open: needsRender },
      R2: { rule: 'The health check stays 200 while the database is away.' },
      R3: { rule: 'Of two servers that run at once one does the background work.' },
      R4: { rule: 'A server that was away takes nobody for dead in its first 60 s.' },
      R5: { rule: 'Without Grafana the container fits into 512 MB, and says what each program takes.' },
      R6: {
        rule: 'An address in a header is believed from as many proxies as there are, and is nobody’s identity where login is on.',
      },
      R7: { rule: 'A stop takes less than the platform allows.' },
    },
  },
  {
    title: 'Supervisor',
    lessons: {
      V1: { rule: 'A required program that cannot be kept running ends the container; an optional one makes it degraded.' },
      V2: { rule: 'A failure is visible in the exit status.' },
      V3: { rule: 'The times to stop add up to less than 25 s.' },
      V4: { rule: 'Children of programs are stopped too; no shell stands between.' },
      V5: { rule: 'A program that crashes again and again is tried at growing distances, and counted.' },
      V6: { rule: 'The supervisor drops its rights, and is controlled through a socket of its owner.' },
      V7: { rule: 'Health shows every program.' },
    },
  },
  {
    title: 'Process 1, health checks, build',
    lessons: {
      H1: { rule: 'Process 1 handles signals and collects orphans.' },
      H2: { rule: 'No shell between process 1 and the programs: a stop ends in time, with status 0.' },
      H3: { rule: 'A signal drains: what was begun is finished, and there is a limit.' },
      H4: { rule: 'While it migrates a server is alive, not ready, and says how far it is.' },
      H5: { rule: 'A dead container exits; being unhealthy is not enough.' },
      H6: { rule: 'Builds install what the lock file says, on a pinned base.' },
      H7: { rule: 'The image has an nginx template of its own and a pinned Debian.' },
    },
  },
  {
    title: 'Migrations and backups',
    lessons: {
      M1: { rule: 'Migrations go forward, in numbered files, once each, in one transaction; a second run changes nothing.' },
      M2: { rule: 'An empty PostgreSQL is migrated on every change, and the result is compared with the committed schema.' },
      M3: { rule: 'The schema is plain PostgreSQL, and works beside what Supabase puts into a database.' },
      M4: { rule: 'Of many servers that start at once one migrates, and the others wait and say so.' },
      M5: { rule: 'An older server works on a newer schema unless a change breaks it, and says what to do then.' },
      M6: { rule: 'Before a migration the disk is looked at and a backup made and read; a migration that was killed goes on.' },
      B1: { rule: 'A backup that failed, is damaged or too old is reported.' },
      B2: { rule: 'A restore is part of the tests: equal counts and hashes, and a server that works on it.' },
      B3: { rule: 'Every secret can be changed without losing data.' },
    },
  },
]
