import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultTeamId } from '@virtualpytest/shared'
import { onePixel } from '../fakes/fake-device-calls.ts'
import { type Lab, startLab } from '../start-lab.ts'

type Body = Record<string, unknown>
const query = `?team_id=${defaultTeamId}`
const target = { host_name: 'lab-1', device_id: 'device1' }
const picture = '/host/stream/capture1/captures/capture_000000001.jpg'
const area = { x: 1, y: 2, width: 30, height: 40 }
const bytes = Buffer.from(onePixel, 'base64')

const saveImage = (lab: Lab, body: Body = {}) =>
  lab.post<Body & { reference: Body }>(`/server/verification/image/saveImage${query}`, {
    ...target,
    image_source_url: picture,
    reference_name: 'logo',
    userinterface_name: 'tv',
    area,
    ...body,
  })
const list = async (lab: Lab, more = '', body?: Body) =>
  (await lab.post<{ references: Body[] }>(`/server/verification/getAllReferences${query}${more}`, body)).body.references

test('api-core.md 5: references are kept with their interface and listed in the shape of the protocol', async (t) => {
  const lab = await startLab(t)
  assert.deepEqual(await list(lab), [])
  const saved = await saveImage(lab)
  assert.equal(saved.status, 200, saved.text)
  assert.equal(saved.body.image_base64, undefined, 'the bytes are no part of the answer')
  await lab.post(`/server/verification/text/saveText${query}`, {
    ...target,
    text: 'Home',
    reference_name: 'title',
    userinterface_name: 'phone',
    area,
  })

  await t.test('the list, newest first, by POST without a body and by GET', async () => {
    const bare = await lab.call<{ references: Body[] }>('POST', `/server/verification/getAllReferences${query}`)
    assert.equal(bare.status, 200, bare.text)
    const [text, image] = bare.body.references
    const { created_at, updated_at, id, ...rest } = image ?? {}
    assert.deepEqual([typeof created_at, typeof updated_at, id], ['string', 'string', saved.body.reference_id])
    assert.deepEqual(rest, {
      name: 'logo',
      userinterface_name: 'tv',
      userinterface_id: null,
      device_model: 'stb',
      reference_type: 'reference_image',
      area,
      r2_path: 'reference-images/tv/logo',
      r2_url: `${lab.url}/server/references/${String(id)}/image`,
      team_id: defaultTeamId,
    })
    assert.deepEqual([text?.reference_type, text?.area, text?.r2_url], ['reference_text', { ...area, text: 'Home' }, null])
    const read = await lab.get<{ references: Body[] }>(`/server/verification/getAllReferences${query}`)
    assert.deepEqual(read.body, bare.body)
  })

  await t.test('filters in the query and in the body', async () => {
    const names = async (more: string, body?: Body) => (await list(lab, more, body)).map((one) => one.name)
    assert.deepEqual(await names('&userinterface_name=tv'), ['logo'])
    assert.deepEqual(await names('', { userinterface_name: 'phone' }), ['title'])
    assert.deepEqual(await names('&device_model=stb'), ['title', 'logo'])
    assert.deepEqual(await names('&device_model=android_tv'), [])
  })

  await t.test('the picture is at this server', async () => {
    const answer = await fetch(`${lab.url}/server/references/${String(saved.body.reference_id)}/image${query}`)
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'image/png'])
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), bytes)
    const none = await lab.get(`/server/references/00000000-0000-4000-8000-000000000001/image${query}`)
    assert.deepEqual([none.status, none.body.code], [404, 'reference_not_found'])
  })

  await t.test('the same name is the same reference; another interface or kind is another one', async () => {
    assert.equal((await saveImage(lab)).body.reference_id, saved.body.reference_id)
    const other = await saveImage(lab, { userinterface_name: 'phone' })
    assert.notEqual(other.body.reference_id, saved.body.reference_id)
    assert.equal((await list(lab)).length, 3)
  })

  await t.test('a batch takes the pictures it names along, under exactly those names', async () => {
    const check = (image_path: string, userinterface_name = 'tv') => ({
      command: 'waitForImageToAppear',
      verification_type: 'image',
      userinterface_name,
      params: { image_path },
    })
    const answer = await lab.post(`/server/verification/executeBatch${query}`, {
      ...target,
      verifications: [check('logo.png'), check('logo', 'unknown-interface'), check('no-such-picture')],
    })
    assert.equal(answer.status, 200, answer.text)
    const { references } = lab.hosts[0]?.calls.last('/host/verification/executeBatch').body ?? {}
    assert.deepEqual(references, { 'logo.png': { data: onePixel, area } })
  })

  await t.test('references outlive a restart of the server', async () => {
    await lab.restart()
    assert.equal((await list(lab)).length, 3)
    assert.equal((await lab.get(`/server/references/${String(saved.body.reference_id)}/image`)).status, 200)
  })
})

test('what an original host refuses or keeps itself', async (t) => {
  const apiKey = 'shared-key-of-this-lab'
  const lab = await startLab(t, { host: { original: true, apiKey }, env: { API_KEY: apiKey } })
  const [host] = lab.hosts
  assert.ok(host)
  await t.test('the address of its own store is kept, the id is ours', async () => {
    const { body } = await saveImage(lab)
    assert.equal(body.r2_url, 'https://store.example.org/reference-images/a.jpg')
    assert.match(String(body.reference_id), /^[0-9a-f-]{36}$/)
    assert.equal((await lab.get(`/server/references/${String(body.reference_id)}/image`)).status, 404)
  })
  await t.test('a refusal in `message` gets an `error`, and nothing is kept', async () => {
    host.calls.override = () => ({ status: 200, body: { success: false, message: 'the picture is too dark' } })
    for (const path of ['image/saveImage', 'image/cropImage', 'image/processImage', 'text/detectText', 'text/saveText']) {
      const answer = await lab.post(`/server/verification/${path}${query}`, {
        ...target,
        image_source_url: picture,
        reference_name: 'dark',
        userinterface_name: 'tv',
        area,
        text: 'dark',
      })
      assert.deepEqual(
        [answer.status, answer.body.success, answer.body.error, answer.body.message],
        [200, false, 'the picture is too dark', 'the picture is too dark'],
        path,
      )
    }
    assert.deepEqual(
      (await list(lab)).map((one) => one.name),
      ['logo'],
    )
  })
})

test('an agent that sends something else than a picture leaves nothing behind', async (t) => {
  const lab = await startLab(t)
  const [host] = lab.hosts
  assert.ok(host)
  const image_base64 = Buffer.from('<script>alert(1)</script>').toString('base64')
  host.calls.override = ({ path }) =>
    path.endsWith('saveImage') ? { status: 200, body: { success: true, image_base64 } } : undefined
  const answer = await saveImage(lab)
  assert.deepEqual([answer.status, answer.body.code], [502, 'host_error'])
  assert.deepEqual(await list(lab), [])
})
