/**
 * What a program that a test starts needs of the environment of that test: nothing of the terminal that runs the tests may decide
 * how it behaves. The mark lets the runner find it when the test forgets it; the cache spares it compiling what others have compiled.
 */
export function programEnv(): NodeJS.ProcessEnv {
  const { PATH, VPT_TEST_FILE, NODE_COMPILE_CACHE } = process.env
  return { PATH, VPT_TEST_FILE, NODE_COMPILE_CACHE }
}
