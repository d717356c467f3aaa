import v8 from 'node:v8'

/**
 * Loading the modules fills V8's young generation once, and V8 answers by making it many times larger, for good: some 15 MB
 * resident that an idle server never uses. So it may not grow while modules load.
 */
export const keepYoungGenerationSmall = (): void => v8.setFlagsFromString('--semi-space-growth-factor=1')

/** Under load a larger young generation saves time; called once the server has started. */
export const letYoungGenerationGrow = (): void => v8.setFlagsFromString('--semi-space-growth-factor=2')
