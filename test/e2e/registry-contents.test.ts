// What a registry has, as a person asks for it: tags, catalog, digests, referrers; and what is taken out of it.

import { writeFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { kauriProgram } from '../helpers/kauri-program.ts'
import {
  giveBlob,
  giveManifest,
  type RegistryServer,
  serveRegistry,
  sha256,
} from '../helpers/registry-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { giveImage } from '../registry/small-registry.ts'

interface User {
  readonly ok: (...args: readonly string[]) => Promise<string>
  readonly fails: (...args: readonly string[]) => Promise<{ code: number | null; stderr: string }>
}

function userTest(title: string, body: (user: User, t: ExecutionContext) => Promise<void>): void {
  test(title, async t => {
    using kauri = kauriProgram()
    using scratch = makeScratch()
    writeFileSync(scratch.at('registries.conf'), '')
    const env = {
      HOME: scratch.path,
      CONTAINERS_REGISTRIES_CONF: scratch.at('registries.conf'),
      REGISTRY_AUTH_FILE: scratch.at('auth.json'),
    }
    const user: User = {
      async ok(...args) {
        const { code, stdout, stderr } = await kauri.run(args, { env })
        t.is(code, 0, `${args.join(' ')}\n${stderr}`)
        return stdout.trim()
      },
      async fails(...args) {
        const { code, stderr } = await kauri.run(args, { env })
        t.not(code, 0, args.join(' '))
        return { code, stderr }
      },
    }
    await body(user, t)
  })
}

/** A manifest about another one; its digest. */
function giveReferrer(
  server: RegistryServer,
  repository: string,
  subject: string,
  type: string,
): string {
  const empty = Buffer.from('{}')
  giveBlob(server, repository, empty)
  const layer = Buffer.from(`${type} of ${subject}`)
  giveBlob(server, repository, layer)
  return giveManifest(server, repository, {
    mediaType: mediaTypes.manifest,
    text: JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      artifactType: type,
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256(empty), size: 2 },
      layers: [{ mediaType: 'text/plain', digest: sha256(layer), size: layer.length }],
      subject: { mediaType: mediaTypes.manifest, digest: subject, size: 1 },
    }),
  })
}

userTest('tags, repositories and digests are told', async (user, t) => {
  await using server = await serveRegistry({ habits: { tagsOnPage: 2 } })
  for (const tag of ['a', 'b', 'c']) giveImage(server, 'team/app', { tag })
  const { digest } = giveImage(server, 'other', { tag: 'latest' })
  t.is(await user.ok('registry', 'tags', `${server.host}/team/app`), 'a\nb\nc')
  t.deepEqual(JSON.parse(await user.ok('registry', 'tags', '--json', `${server.host}/team/app`)), {
    repository: `${server.host}/team/app`,
    tags: ['a', 'b', 'c'],
  })
  t.is(await user.ok('registry', 'catalog', server.host), 'other\nteam/app')
  t.is(await user.ok('registry', 'resolve', `${server.host}/other`), digest)
  const missing = await user.fails('registry', 'tags', `${server.host}/none`)
  t.regex(missing.stderr, /there is no repository/)
  t.is((await user.fails('registry', 'tags', `${server.host}/team/app:a`)).code, 2)
  t.is((await user.fails('registry', 'resolve', `${server.host}/other:none`)).code, 1)
})

userTest('a tag is taken away, or the manifest with all its tags', async (user, t) => {
  await using server = await serveRegistry()
  const { digest } = giveImage(server, 'app', { tag: 'one' })
  giveImage(server, 'app', { tag: 'two' })
  await user.ok('registry', 'rm', `${server.host}/app:one`)
  t.is(await user.ok('registry', 'resolve', `${server.host}/app:two`), digest)
  t.is((await user.fails('registry', 'rm', `${server.host}/app`)).code, 2)
  await user.ok('registry', 'rm', '--manifest', `${server.host}/app:two`)
  t.true(server.log.includes(`DELETE /v2/app/manifests/${digest} 202`))
  t.regex((await user.fails('registry', 'rm', `${server.host}/app@${digest}`)).stderr, /no image/)
  server.habits = { deletes: false }
  giveImage(server, 'app', { tag: 'three' })
  const refused = await user.fails('registry', 'rm', `${server.host}/app:three`)
  t.regex(refused.stderr, /--manifest/)
})

for (const referrers of [true, false])
  userTest(
    `what refers to an image is listed, and copied with it (referrers API: ${referrers})`,
    async (user, t) => {
      await using from = await serveRegistry()
      await using to = await serveRegistry({ habits: { referrers } })
      const { digest } = giveImage(from, 'app', { tag: '1' })
      const sbom = giveReferrer(from, 'app', digest, 'text/sbom')
      const signature = giveReferrer(from, 'app', sbom, 'text/signature')
      t.regex(await user.ok('registry', 'referrers', `${from.host}/app:1`), new RegExp(sbom))
      const name = `${to.host}/copy:1`
      await user.ok('copy', '--referrers', `docker://${from.host}/app:1`, `docker://${name}`)
      t.is(await user.ok('registry', 'referrers', '-q', name), sbom)
      t.is(await user.ok('registry', 'referrers', '-q', `${to.host}/copy@${sbom}`), signature)
      const typed = ['registry', 'referrers', '-q', '--artifact-type', 'text/other', name]
      t.is(await user.ok(...typed), '')
      // Again is no harm, and nothing is listed twice.
      await user.ok('copy', '--referrers', `docker://${from.host}/app:1`, `docker://${name}`)
      t.is(await user.ok('registry', 'referrers', '-q', name), sbom)
      await user.ok('registry', 'rm', `${to.host}/copy@${sbom}`)
      t.is(await user.ok('registry', 'referrers', '-q', name), '')
      const nowhere = await user.fails('copy', '--referrers', `docker://${name}`, 'local:1')
      t.is(nowhere.code, 2)
    },
  )

userTest('every tag of a name is pushed with --all-tags', async (user, t) => {
  await using server = await serveRegistry()
  giveImage(server, 'from', { tag: '1' })
  await user.ok('pull', `${server.host}/from:1`)
  for (const tag of ['a', 'b'])
    await user.ok('tag', `${server.host}/from:1`, `${server.host}/to:${tag}`)
  t.is(
    await user.ok('push', '-q', '-a', `${server.host}/to`),
    `${server.host}/to:a\n${server.host}/to:b`,
  )
  t.is(await user.ok('registry', 'tags', `${server.host}/to`), 'a\nb')
  t.is((await user.fails('push', '-a', `${server.host}/to:a`)).code, 2)
  t.is((await user.fails('push', '-a', `${server.host}/none`)).code, 1)
})
