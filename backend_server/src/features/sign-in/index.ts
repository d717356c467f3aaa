export * from './find-by-session.ts'
export * from './refusal-page.ts'
export * from './sign-in.routes.ts'
