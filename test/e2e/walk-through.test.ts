// The way of somebody new: a description becomes an image, a tarball goes over a plain web server and comes back as
// another image, and both run. Packages come from the machine's own repositories.

import { createReadStream, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { ExecutionContext } from 'ava'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'

const root = path.join(import.meta.dirname, '../..')
const debian = path.join(root, 'descriptions/debian-bookworm')

async function succeed(
  t: ExecutionContext,
  kauri: KauriProgram,
  ...words: readonly string[]
): Promise<string> {
  const { code, stdout, stderr } = await kauri.run(words)
  t.is(code, 0, `kauri ${words.join(' ')}\n${stderr}`)
  return stdout
}

function temporaryDirectory(t: ExecutionContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'kauri-walk-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** A web server on the loopback interface that knows nothing of images. */
async function serve(t: ExecutionContext, directory: string): Promise<string> {
  const server: Server = createServer((request, response) => {
    const file = path.join(directory, path.basename(request.url ?? ''))
    if (!existsSync(file)) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    createReadStream(file).pipe(response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return `http://127.0.0.1:${address.port}`
}

const walk = testWith({ root: true, programs: ['apt-get', 'dpkg-deb'] })

walk(
  'from a description to a running container, and by way of a web server to another one',
  async t => {
    t.timeout(600_000)
    using kauri = kauriProgram()
    const out = temporaryDirectory(t)

    await succeed(t, kauri, 'system', 'build', '--description', debian, '--target-dir', out)
    t.true(existsSync(path.join(out, 'debian-bookworm.x86_64-1.0.0.docker.tar')))
    t.regex(await succeed(t, kauri, 'images'), /^debian-bookworm +latest /m)
    t.regex(
      await succeed(t, kauri, 'run', '--rm', 'debian-bookworm', 'cat', '/etc/os-release'),
      /VERSION_CODENAME=bookworm/,
    )
    const script = 'hostname; id -u; ls /proc/1 >/dev/null && echo proc'
    const options = '--rm --pids-limit 50 --network none --hostname h'.split(' ')
    const limited = await succeed(
      t,
      kauri,
      'run',
      ...options,
      'debian-bookworm',
      'sh',
      '-c',
      script,
    )
    t.is(limited, 'h\n0\nproc\n')

    await succeed(
      t,
      kauri,
      'system',
      'build',
      '--type',
      'tbz',
      '--description',
      debian,
      '--target-dir',
      out,
    )
    const tarball = readdirSync(out).find(name => name.endsWith('.tar.xz'))
    t.is(tarball, 'debian-bookworm.x86_64-1.0.0.tar.xz')
    const url = await serve(t, out)
    await succeed(t, kauri, 'import', `${url}/${tarball}`, 'fromweb:1', '-c', 'CMD ["/bin/sh"]')
    t.is(
      await succeed(t, kauri, 'run', '--rm', 'fromweb:1', 'sh', '-c', 'echo from the web'),
      'from the web\n',
    )
    const missing = await kauri.run(['import', `${url}/nothing.tar.xz`, 'nothing:1'])
    t.is(missing.code, 1)
    t.deepEqual(kauri.traces(), [])
  },
)
