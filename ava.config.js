export default {
  files: ['test/**/*.test.ts', '!test/e2e/**', '!test/peers/**'],
  extensions: ['ts'],
  timeout: '2m',
}
