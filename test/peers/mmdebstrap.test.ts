import { execFileSync } from 'node:child_process'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../../src/core/errors.ts'
import { makeAptBench, requestFor } from '../helpers/apt-bench.ts'
import { testWith } from '../helpers/needs.ts'

const withPeer = testWith({ root: true, programs: ['mmdebstrap', 'apt-get'] })

/**
 * What may differ: mmdebstrap writes a few files of its own and its host's, keeps locks and backups, and leaves no marks
 * of what came as a dependency. Its hook makes links for libraries that nothing brings, and apt's own run a scratch directory. Devices in /dev are the container's business here.
 */
const explained = [
  /^\/(?:dev|proc|sys|tmp|run)\//,
  /^\/etc\/(?:\.pwd\.lock|fstab|hostname|resolv\.conf|hosts|machine-id|apt\/sources\.list|apt\/sources\.list\.d\/.*)$/,
  /^\/var\/lib\/apt\/(?:extended_states|lists\/(?:lock|partial)|mirrors\/partial)$/,
  /^\/var\/cache\/(?:apt\/archives\/(?:lock|partial)|debconf\/.*-old|ldconfig\/aux-cache)$/,
  /^\/var\/lib\/dpkg\/(?:arch|.*-old|lock|lock-frontend|triggers\/(?:Lock|Unincorp))$/,
  /^(?:\/usr)?\/lib(?:32|x32)$/,
  /^\/var\/cache\/debconf\/tmp\.ci$/,
  /^\/var\/log\//,
]

/** Type, mode, owner and content of everything, but for what is explained. */
function describeTree(root: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    const place = `/${name}`
    if (explained.some(pattern => pattern.test(place))) continue
    const file = path.join(root, name)
    const stat = lstatSync(file)
    // the day of the last change of a password is the day of the build there, the packages' here
    const content = stat.isSymbolicLink()
      ? readlinkSync(file)
      : stat.isFile()
        ? readFileSync(file, 'latin1').replaceAll(/:\d{5}:0:99999:7:::$/gm, ':DAY:0:99999:7:::')
        : ''
    found.set(place, `${stat.mode.toString(8)} ${stat.uid} ${stat.gid} ${content}`)
  }
  return found
}

for (const suite of ['bookworm', 'trixie'])
  withPeer(`a root of ${suite} is, file by file, the one that mmdebstrap makes`, async t => {
    using bench = await makeAptBench()
    const include = ['mount', 'passwd', 'e2fsprogs', 'tzdata', 'ca-certificates', 'less']
    const request = requestFor(
      [
        {
          alias: 'host',
          location: 'obsrepositories:/',
          distribution: suite,
          components: ['main'],
          keys: [],
          checkSignatures: true,
          inImage: 'no',
        },
      ],
      include,
    )
    try {
      await bench.manager().resolve(request, undefined, bench.work())
    } catch (error) {
      if (!(error instanceof KauriError)) throw error
      t.log(`not compared: this machine's repositories do not serve ${suite}: ${error.message}`)
      t.pass()
      return
    }
    const { tree } = await bench.install(request)
    const reference = bench.scratch.at('reference')
    const hooks = '/usr/share/mmdebstrap/hooks/maybe-merged-usr'
    execFileSync(
      'mmdebstrap',
      [
        '--quiet',
        '--variant=apt',
        `--hook-dir=${hooks}`,
        `--include=${include.join(',')}`,
        suite,
        reference,
      ],
      { stdio: 'ignore', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } },
    )
    const [actual, wanted] = [describeTree(tree), describeTree(reference)]
    const names = [...new Set([...actual.keys(), ...wanted.keys()])]
    t.deepEqual(
      names
        .filter(name => actual.get(name) !== wanted.get(name))
        .map(
          name =>
            `${name}: ${actual.get(name)?.slice(0, 300)} | ${wanted.get(name)?.slice(0, 300)}`,
        ),
      [],
    )
    t.is(execFileSync('chroot', [tree, 'dpkg', '--audit'], { encoding: 'utf8' }), '')
    t.is(execFileSync('chroot', [tree, 'dpkg', '-V'], { encoding: 'utf8' }), '')
    t.true(wanted.size > 3000)
  })
