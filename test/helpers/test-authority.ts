// A certificate authority for one test, and a certificate of it for 127.0.0.1.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import type { Scratch } from './scratch.ts'

export interface TestAuthority {
  /** PEM of the authority. */
  readonly authority: string
  /** PEM of a certificate for 127.0.0.1 and localhost, and its key. */
  readonly certificate: string
  readonly key: string
}

/** Needs the program openssl. */
export function makeAuthority(scratch: Scratch): TestAuthority {
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { stdio: 'ignore', cwd: scratch.path })
  }
  const ecKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(
    'req',
    '-x509',
    ...ecKey,
    '-days',
    '2',
    '-subj',
    '/CN=test authority',
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
  )
  openssl('req', ...ecKey, '-subj', '/CN=127.0.0.1', '-keyout', 'server.key', '-out', 'server.csr')
  writeFileSync(scratch.at('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
  openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    'names',
    '-out',
    'server.crt',
  )
  const read = (name: string): string => readFileSync(scratch.at(name), 'utf8')
  return { authority: read('ca.crt'), certificate: read('server.crt'), key: read('server.key') }
}
