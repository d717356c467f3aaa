/** Opens a page in the browser, fills its form and checks the answer. By default it is the demo page of the host. */
import assert from 'node:assert/strict'
import { device, measure, params, run, runSettings, screenshot, step, waitForText } from '@virtualpytest/backend-host/sdk'

export const _script_args = ['--url:str:', '--title:str:VPT Demo', '--name:str:Ada', '--max-load-ms:int:10000'] as const

const args = params(_script_args)

await run(async () => {
  const url = args.url === '' ? runSettings().demoUrl : args.url
  await step(`Open ${url}`, async () => {
    const started = performance.now()
    const page = await device.navigate(url)
    const loadMs = Math.round(performance.now() - started)
    await measure('page_load', loadMs, 'ms')
    assert.equal(page.status, 200, `The page answered ${String(page.status)}`)
    assert.ok(loadMs <= args['max-load-ms'], `The page took ${loadMs} ms`)
  })
  await step(
    'Check the title',
    async () => {
      const { title } = await device.command('get_page_info')
      assert.ok(String(title).includes(args.title), `The title is "${String(title)}"`)
    },
    { kind: 'verification' },
  )
  await step('Fill the form', async () => {
    await device.type(args.name, { element_id: 'name' })
    await device.type('ada@example.org', { selector: 'input[type=email]' })
    await device.command('execute_javascript', { script: "document.querySelector('#device').value = 'browser'" })
    await screenshot('form-filled')
  })
  await step(
    'Send it and read the answer',
    async () => {
      await device.click({ text: 'Book the device' })
      await waitForText(`Thank you, ${args.name}`, { timeoutMs: 5000 })
      const { result } = await device.command('execute_javascript', { script: "document.querySelector('#booking').textContent" })
      assert.match(String(result), /^B-\d{4}$/, 'There is no booking number')
    },
    { kind: 'verification' },
  )
  await step('Use the keyboard and the counter', async () => {
    for (let i = 0; i < 3; i += 1) await device.click({ selector: '#count' })
    await waitForText('Counted 3', { timeoutMs: 3000 })
    await device.command('scroll', { direction: 'down', amount: 2000 })
    await waitForText('You have reached the end', { timeoutMs: 3000 })
  })
})
