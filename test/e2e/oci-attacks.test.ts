// Bundles that want more than a container: each names its class or advisory, runs through bin/kauri-oci, and shows that the
// host holds. A marker directory on the host is what they try to reach.

import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import anyTest, { type ExecutionContext } from 'ava'
import { compiledPath } from '../../src/native/compile-native.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import {
  type OciResult,
  type OciTrial,
  ociTrial,
  script,
  type TestConfig,
} from '../helpers/oci-bundles.ts'

const test = testWith({ root: true })

let trial: OciTrial
let marker: string
anyTest.before(() => {
  trial = ociTrial()
  marker = path.join(trial.directory, 'marker')
  mkdirSync(marker)
})
anyTest.after.always(() => trial?.[Symbol.dispose]())

interface Attack {
  readonly name: string
  readonly config?: (config: TestConfig) => void
  readonly root?: (rootfs: string) => void
  /** Words of `run` before the id. */
  readonly words?: readonly string[]
  /** What must be true of the result, beside an untouched marker. */
  readonly holds: (t: ExecutionContext, result: OciResult, bundle: string) => void
}

/** Puts a link in the root's place of that name. */
function linked(name: string, target: () => string): (rootfs: string) => void {
  return rootfs => {
    rmSync(path.join(rootfs, name), { recursive: true, force: true })
    symlinkSync(target(), path.join(rootfs, name))
  }
}

function isRefused(message: RegExp): Attack['holds'] {
  return (t, { code, stderr }) => {
    t.not(code, 0)
    t.regex(stderr, message)
  }
}

function withoutDev(config: TestConfig): void {
  config.mounts = config.mounts.filter(({ destination }) => !destination.startsWith('/dev'))
}

function mountOn(destination: string): (config: TestConfig) => void {
  return config => {
    config.mounts.push({ destination, type: 'tmpfs', source: 'tmpfs', options: [] })
  }
}

const launcherDigest = (): string =>
  createHash('sha256')
    .update(readFileSync(compiledPath('launcher')))
    .digest('hex')

const attacks: readonly Attack[] = [
  {
    name: 'CVE-2026-41579, CVE-2026-47766: /dev of the root is a link to the host, with a tmpfs on it',
    root: linked('dev', () => marker),
    holds: isRefused(/symbolic link/),
  },
  {
    name: 'CVE-2026-41579: the same without a mount on it, so that nodes are made in the root',
    config: withoutDev,
    root: linked('dev', () => marker),
    holds: isRefused(/symbolic link/),
  },
  {
    name: 'CVE-2019-19921: /proc of the root is a link',
    root: linked('proc', () => '/tmp'),
    holds: isRefused(/symbolic link/),
  },
  {
    name: 'CVE-2023-27561: /sys of the root is a link',
    root: linked('sys', () => '/tmp'),
    holds: isRefused(/symbolic link/),
  },
  {
    name: 'CVE-2021-30465: a mount point leads to the host by a link',
    config: config => {
      mountOn('/data/below')(config)
      script('touch /data/below/file; mount | grep below')(config)
    },
    root: linked('data', () => marker),
    holds: (t, { stdout }, bundle) => {
      // Inside of the root the link leads to a path of the same name.
      t.regex(stdout, new RegExp(`${path.basename(path.dirname(bundle))}/marker/below`))
    },
  },
  {
    name: 'CVE-2019-16884: a volume is to cover /proc/self/attr by a link in the image',
    config: mountOn('/attr'),
    root: linked('attr', () => '/proc/self/attr'),
    holds: isRefused(/procfs|No such file|symbolic link|Too many/),
  },
  {
    name: 'CVE-2019-16884: a volume on /proc itself',
    config: mountOn('/proc/self'),
    holds: isRefused(/must be able to trust \/proc/),
  },
  {
    name: 'CVE-2025-52881: a volume over /proc/sys, to catch what the runtime writes there',
    config: config => {
      mountOn('/proc/sys')(config)
      config.linux['sysctl'] = { 'net.ipv4.ip_unprivileged_port_start': '0' }
    },
    holds: isRefused(/must be able to trust \/proc/),
  },
  {
    name: 'CVE-2022-0811: a sysctl of the machine',
    config: config => {
      config.linux['sysctl'] = { 'kernel.core_pattern': '|/bin/false' }
    },
    holds: isRefused(/would change the host/),
  },
  {
    name: 'CVE-2022-0811: a cgroup path that climbs',
    config: config => {
      config.linux['cgroupsPath'] = '/kauri/../../../etc'
    },
    holds: isRefused(/a path without \.\./),
  },
  {
    name: 'CVE-2025-31133: /dev/null of the image is a link that masks would bind',
    config: config => {
      withoutDev(config)
      config.linux['maskedPaths'] = ['/secret']
      script('cat /secret; true')(config)
    },
    root: rootfs => {
      mkdirSync(path.join(rootfs, 'dev'), { recursive: true })
      symlinkSync('/etc/passwd', path.join(rootfs, 'dev/null'))
      writeFileSync(path.join(rootfs, 'secret'), 'secret')
    },
    holds: (t, { code, stdout }) => {
      t.not(code, 0, 'a /dev/null that is another file is refused')
      t.is(stdout, '')
    },
  },
  {
    name: 'a masked path that is a link to what is needed',
    config: config => {
      config.linux['maskedPaths'] = ['/masked']
    },
    root: linked('masked', () => '/etc'),
    holds: isRefused(/symbolic link|Too many levels/),
  },
  {
    name: 'a read-only path that is a link',
    config: config => {
      config.linux['readonlyPaths'] = ['/locked']
    },
    root: linked('locked', () => '/etc'),
    holds: isRefused(/symbolic link|Too many levels/),
  },
  {
    name: 'CVE-2024-21626: a working directory behind a link to a descriptor',
    config: config => {
      if (config.process !== undefined) config.process.cwd = '/work'
    },
    root: linked('work', () => '/proc/self/fd/7'),
    holds: (t, { code }) => t.not(code, 0),
  },
  {
    name: 'runc #5474: more descriptors are asked for than the caller opened',
    words: ['--preserve-fds', '20'],
    holds: isRefused(/descriptor 3 is to be preserved but is not open/),
  },
  {
    name: 'CVE-2019-5736: the program is /proc/self/exe, and the first process writes to what it finds there',
    config: script(
      'cat /proc/self/exe > /dev/null; for p in 1 self; do echo overwritten > /proc/$p/exe; done; true',
    ),
    holds: t => t.pass(),
  },
  {
    name: 'CVE-2019-5736: an interpreter that is /proc/self/exe',
    config: config => {
      if (config.process !== undefined) config.process.args = ['/script']
    },
    root: rootfs =>
      writeFileSync(path.join(rootfs, 'script'), '#!/proc/self/exe\n', { mode: 0o755 }),
    holds: (t, { stdout }) => t.is(stdout, ''),
  },
  {
    name: 'CVE-2025-52565: /dev/console of the image leads elsewhere',
    config: config => {
      config.mounts = config.mounts.filter(({ destination }) => destination !== '/dev')
      if (config.process !== undefined) config.process['terminal'] = true
    },
    root: rootfs => {
      mkdirSync(path.join(rootfs, 'dev/pts'), { recursive: true })
      symlinkSync(marker, path.join(rootfs, 'dev/console'))
    },
    holds: isRefused(/symbolic link|console/),
  },
  {
    name: 'CVE-2022-24769, CVE-2022-29162: capabilities that programs would inherit',
    config: script('grep -E "CapInh|CapAmb" /proc/self/status'),
    holds: (t, { stdout }) => {
      t.deepEqual(
        [...stdout.matchAll(/Cap\w+:\s+(\w+)/g)].map(([, bits]) => bits),
        ['0000000000000000', '0000000000000000'],
      )
    },
  },
  {
    name: 'a device whose directory is a link',
    config: config => {
      config.linux['devices'] = [{ path: '/nodes/null', type: 'c', major: 1, minor: 3 }]
    },
    root: linked('nodes', () => marker),
    holds: isRefused(/symbolic link/),
  },
  {
    name: 'a hook that is found by a relative path, which the container could fill',
    config: config => {
      config.hooks = { createContainer: [{ path: 'bin/sh' }] }
    },
    holds: isRefused(/hooks\.createContainer\[0\]\.path: expected an absolute path/),
  },
  {
    name: 'a file system of devices that the configuration does not allow',
    config: script('mknod /tmp/sda b 8 0 && cat /tmp/sda; cat /dev/mem; true'),
    holds: (t, { stdout }) => t.is(stdout, ''),
  },
]

for (const { name, config = () => {}, root = () => {}, words = [], holds } of attacks)
  test(name, t => {
    const before = launcherDigest()
    const bundle = trial.bundle(config, root)
    const id = trial.id()
    const result = trial.oci('run', ...words, '--bundle', bundle, id)
    holds(t, result, bundle)
    t.deepEqual(readdirSync(marker), [])
    t.is(launcherDigest(), before)
    t.is(trial.state(id), undefined)
    t.false(readFileSync('/proc/self/mountinfo', 'utf8').includes(bundle))
  })

test('CVE-2024-21626: no descriptor of the host is a way out as the working directory', t => {
  const bundle = trial.bundle()
  const file = path.join(bundle, 'config.json')
  const text = readFileSync(file, 'utf8')
  for (let fd = 3; fd < 12; fd++) {
    writeFileSync(file, text.replace('"cwd":"/"', `"cwd":"/proc/self/fd/${fd}"`))
    t.not(trial.oci('run', '--bundle', bundle, trial.id()).code, 0, String(fd))
  }
})

test('CVE-2024-21626: nor is it for exec', t => {
  const id = trial.id()
  trial.ociWith('ignore', 'run', '--detach', '--bundle', trial.bundle(script('sleep 300')), id)
  for (let fd = 3; fd < 8; fd++)
    t.not(trial.oci('exec', '--cwd', `/proc/self/fd/${fd}`, id, 'true').code, 0)
})

test('a process that waits for its start shows other processes of its namespace nothing of the host', t => {
  const id = trial.id()
  trial.ociWith('ignore', 'create', '--bundle', trial.bundle(), id)
  const { pid = 0 } = trial.state(id) ?? {}
  for (const fd of readdirSync(`/proc/${pid}/fd`))
    t.false(readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(trial.directory), fd)
})

test('CVE-2021-30465, CVE-2024-45310: a mount point that is exchanged while containers are made', async t => {
  const volume = path.join(trial.directory, 'volume')
  mkdirSync(path.join(volume, 'target'), { recursive: true })
  symlinkSync(marker, path.join(volume, 'link'))
  const config = (text: TestConfig): void => {
    text.mounts.push({ destination: '/volume', type: 'bind', source: volume, options: ['rbind'] })
    text.mounts.push({
      destination: '/volume/target/sub',
      type: 'tmpfs',
      source: 'tmpfs',
      options: [],
    })
  }
  const bundle = trial.bundle(config)
  const rounds = Number(process.env['KAURI_RACE_ROUNDS'] ?? '6')
  for (let round = 0; round < rounds; round++) {
    const child = trial.start('run', '--bundle', bundle, trial.id())
    let ended = false
    child.once('exit', () => {
      ended = true
    })
    t.true(
      await eventually(() => {
        swap(volume)
        return ended
      }),
    )
    t.deepEqual(readdirSync(marker), [])
  }
})

/** target and link change places. */
function swap(volume: string): void {
  const [target, link, spare] = ['target', 'link', 'spare'].map(name => path.join(volume, name))
  if (target === undefined || link === undefined || spare === undefined) return
  try {
    renameSync(target, spare)
    renameSync(link, target)
    renameSync(spare, link)
  } catch {
    // A mount lies on it for the moment.
    if (!existsSync(target) && existsSync(spare)) renameSync(spare, target)
  }
}
