// End-to-end and peer tests: they mount, signal and chdir, so the tests of a file run one after the other, without worker
// threads; two files at once, as they wait more than they compute.
export default {
  files: ['test/e2e/**/*.test.ts', 'test/peers/**/*.test.ts'],
  extensions: ['ts'],
  workerThreads: false,
  concurrency: 2,
  serial: true,
  timeout: '10m',
}
