// End-to-end and peer tests: they mount, signal, chdir and measure, so one file at a time and no worker threads.
export default {
  files: ['test/e2e/**/*.test.ts', 'test/peers/**/*.test.ts'],
  extensions: ['ts'],
  workerThreads: false,
  concurrency: 1,
  serial: true,
  timeout: '4m',
}
