import type { ActionDefinition, Driver, VerificationDefinition } from '../../drivers/driver.ts'

/** The checks that clients of the protocol look for among the actions of a TV, and what is typed beside each. */
const inputs: Record<string, string> = {
  waitForTextToAppear: 'text',
  waitForTextToDisappear: 'text',
  waitForImageToAppear: 'image_path',
  waitForImageToDisappear: 'image_path',
}

/** As actions they have the type `verification`, by which a batch sends them the way of the checks. */
export function checksAsActions(
  { model }: Pick<Driver, 'model'>,
  checks: readonly VerificationDefinition[],
): Record<string, ActionDefinition[]> {
  if (model !== 'android_tv') return {}
  const offered = checks.filter(({ command }) => Object.hasOwn(inputs, command))
  const actions = offered.map(({ command, label, description, params }): ActionDefinition => {
    const inputParam = inputs[command] ?? ''
    const input = params[inputParam]
    return {
      id: command,
      label: label ?? command,
      command,
      action_type: 'verification',
      params: {},
      ...(description !== undefined && { description }),
      requiresInput: true,
      inputLabel: input?.description ?? inputParam,
      inputPlaceholder: input?.placeholder ?? '',
      inputParam,
    }
  })
  return actions.length > 0 ? { verification: actions } : {}
}
