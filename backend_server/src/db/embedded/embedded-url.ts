import { type Credentials, databaseName, readOrCreateCredentials, superuserName, userName } from './credentials.ts'

/**
 * The URL for the server, before the database runs: for whoever starts the two as separate programs. Makes the passwords if
 * there are none; they become valid when the database starts. The folder must exist.
 */
export const embeddedDatabaseUrl = (dataDir: string, port: number): string =>
  urlsOf(port, readOrCreateCredentials(dataDir).credentials).url

export function urlsOf(port: number, credentials: Credentials): { url: string; superuserUrl: string } {
  const at = `127.0.0.1:${port}`
  return {
    url: `postgresql://${userName}:${credentials.password}@${at}/${databaseName}`,
    superuserUrl: `postgresql://${superuserName}:${credentials.superuserPassword}@${at}/postgres`,
  }
}
