// Bundles for bin/kauri-oci, as an engine would write them: a small root and a configuration that a test changes.

import {
  type ChildProcess,
  execFileSync,
  type StdioOptions,
  spawn,
  spawnSync,
} from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { makeSmallRoot } from './small-root.ts'

export interface OciResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface OciTrial extends Disposable {
  /** Where everything of the trial is. */
  readonly directory: string
  /** A bundle with a root of its own; `change` gets the configuration before it is written. */
  bundle(change?: (config: TestConfig) => void, root?: (rootfs: string) => void): string
  /** Runs the runtime to its end. */
  oci(...words: readonly string[]): OciResult
  /** The same with streams and descriptors of the caller's choice. */
  ociWith(stdio: StdioOptions, ...words: readonly string[]): OciResult
  /** Starts it. */
  start(...words: readonly string[]): ChildProcess
  /** What `oci state` says. */
  state(id: string): { readonly status: string; readonly pid: number } | undefined
  /** A new id. */
  id(): string
}

/** The parts of a configuration that tests change. */
export interface TestConfig {
  ociVersion: string
  hostname?: string
  process?: Record<string, unknown> & { args: string[]; env: string[]; cwd: string }
  root: { path: string; readonly?: boolean }
  mounts: { destination: string; type?: string; source?: string; options?: string[] }[]
  hooks?: Record<string, { path: string; args?: string[]; env?: string[]; timeout?: number }[]>
  annotations?: Record<string, string>
  linux: Record<string, unknown> & { namespaces: { type: string; path?: string }[] }
}

const program = path.resolve(import.meta.dirname, '../../bin/kauri-oci')

export function ociTrial(): OciTrial {
  const directory = mkdtempSync(path.join(tmpdir(), 'kauri-oci-'))
  const environment = {
    ...process.env,
    KAURI_DATA_ROOT: path.join(directory, 'data'),
    KAURI_RUN_ROOT: path.join(directory, 'run'),
  }
  const template = path.join(directory, 'template')
  execFileSync('mkdir', [template])
  makeSmallRoot(template)
  const ids: string[] = []
  let bundles = 0
  const ociWith = (stdio: StdioOptions, ...words: readonly string[]): OciResult => {
    const { status, stdout, stderr } = spawnSync(program, words, {
      env: environment,
      stdio,
      encoding: 'utf8',
      timeout: 120_000,
    })
    return { code: status, stdout: stdout ?? '', stderr: stderr ?? '' }
  }
  const oci = (...words: readonly string[]): OciResult =>
    ociWith(['ignore', 'pipe', 'pipe'], ...words)
  return {
    directory,
    bundle(change = () => {}, root = () => {}) {
      const bundle = path.join(directory, `bundle${bundles++}`)
      const rootfs = path.join(bundle, 'rootfs')
      cpSync(template, rootfs, { recursive: true, verbatimSymlinks: true })
      root(rootfs)
      const config = testConfig()
      change(config)
      writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(config))
      return bundle
    },
    oci,
    ociWith,
    start: (...words) =>
      spawn(program, words, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] }),
    state(id) {
      const { code, stdout } = oci('state', id)
      return code === 0 ? JSON.parse(stdout) : undefined
    },
    id() {
      const id = `kauri-test-${process.pid}-${ids.length}`
      ids.push(id)
      return id
    },
    [Symbol.dispose]() {
      for (const id of ids) oci('delete', '--force', id)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

const capabilities = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID', 'CAP_SETGID', 'CAP_DAC_OVERRIDE']

/** What engines write, in short. */
function testConfig(): TestConfig {
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 0, gid: 0 },
      args: ['true'],
      env: ['PATH=/usr/bin:/bin'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: true,
    },
    root: { path: 'rootfs' },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
      {
        destination: '/sys',
        type: 'sysfs',
        source: 'sysfs',
        options: ['nosuid', 'noexec', 'nodev', 'ro'],
      },
    ],
    linux: {
      namespaces: ['pid', 'ipc', 'uts', 'mount', 'network'].map(type => ({ type })),
      maskedPaths: ['/proc/kcore', '/proc/keys'],
      readonlyPaths: ['/proc/sys'],
    },
  }
}

/** The configuration runs this script. */
export function script(text: string): (config: TestConfig) => void {
  return config => {
    if (config.process !== undefined) config.process.args = ['sh', '-c', text]
  }
}
