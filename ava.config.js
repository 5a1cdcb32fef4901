// Unit tests: quick, side by side. Processes, not worker threads: those take descriptors that the addon opened for lost.
export default {
  files: ['test/**/*.test.ts', '!test/e2e/**', '!test/peers/**'],
  extensions: ['ts'],
  workerThreads: false,
  timeout: '2m',
}
