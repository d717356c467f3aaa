import { buffer } from 'node:stream/consumers'
import type { HostReferences, Verification } from '@virtualpytest/shared'
import type { Queryable } from '../../db/query.ts'
import { findFreeArtifact, type ObjectStore } from '../artifacts/index.ts'
import { listReferences, type ReferenceRow } from './reference.store.ts'

/** All pictures of one batch together; more would make every check wait for them. */
const mostBytes = 24 * 1024 * 1024

/** The pictures that these checks name, under exactly those names: a host that never saved them can compare them too. */
export async function referencesFor(
  { db, store }: { db: Queryable; store: ObjectStore },
  teamId: string,
  verifications: readonly Verification[],
): Promise<HostReferences> {
  const fallback = verifications[0]?.userinterface_name ?? undefined
  const wanted = verifications.flatMap((one) => {
    const given = one.params?.image_path
    const userinterface = one.userinterface_name ?? fallback
    return typeof given === 'string' && given !== '' && given.length <= 200 && userinterface
      ? [{ given, name: given.replace(/\.(png|jpe?g)$/i, ''), userinterface }]
      : []
  })
  if (wanted.length === 0) return {}
  const rows = await listReferences(db, { teamId, names: [...new Set(wanted.flatMap(({ name, given }) => [name, given]))] })
  const found: [string, HostReferences[string]][] = []
  let left = mostBytes
  for (const { given, name, userinterface } of wanted) {
    const row = rows.find(
      (one) => one.kind === 'image' && one.userinterface_name === userinterface && [given, name].includes(one.name),
    )
    const data = row && (await readPicture(row, left))
    if (!data || found.some(([known]) => known === given)) continue
    left -= data.length
    found.push([given, { data: data.toString('base64'), area: areaOf(row) }])
  }
  return Object.fromEntries(found)

  async function readPicture(row: ReferenceRow, limit: number): Promise<Buffer | undefined> {
    const artifact = row.artifact_id === null ? undefined : await findFreeArtifact(db, teamId, row.artifact_id)
    const content = artifact?.status === 'stored' ? await store.get(artifact.storage_key) : undefined
    if (!content || content.sizeBytes > limit) {
      content?.content.destroy()
      return undefined
    }
    return buffer(content.content)
  }
}

const areaOf = ({ area }: ReferenceRow): HostReferences[string]['area'] => {
  const { x, y, width, height } = area ?? {}
  return typeof x === 'number' && typeof y === 'number' && typeof width === 'number' && typeof height === 'number'
    ? { x, y, width, height }
    : null
}
