import { writeFileSync } from 'node:fs'
import test, { type ExecutionContext } from 'ava'
import { type BuildEvent, ignoreEvents } from '../../src/core/events.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { parseReference, type Reference } from '../../src/oci/reference.ts'
import { pushImage } from '../../src/registry/push-image.ts'
import type { RegistryOptions } from '../../src/registry/registry.ts'
import { memoryStore } from '../../src/store/memory-store.ts'
import type { ImageStore } from '../../src/store/store.ts'
import {
  bodyOf,
  giveBlob,
  type Habits,
  type RegistryServer,
  sendError,
  serveRegistry,
  sha256,
} from '../helpers/registry-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { putImage, putText } from '../store/small-image.ts'
import { named, quickLimits, quickRegistries, someBytes } from './small-registry.ts'

interface Setting {
  readonly t: ExecutionContext
  readonly server: RegistryServer
  readonly store: ImageStore
  /** Pushes an image whose layer holds the text; the result is its digest. */
  readonly push: (content: string, reference: Reference) => Promise<string>
  readonly events: BuildEvent[]
}

function pushing(
  title: string,
  body: (setting: Setting) => Promise<void>,
  { habits = {}, ...options }: Partial<RegistryOptions> & { readonly habits?: Habits } = {},
): void {
  test(title, async t => {
    await using server = await serveRegistry({ habits })
    await using registries = await quickRegistries(options)
    const store = memoryStore()
    const events: BuildEvent[] = []
    const push: Setting['push'] = async (content, reference) => {
      const descriptor = await putImage(store, content)
      const how = { registries, emit: (event: BuildEvent) => void events.push(event) }
      return (await pushImage(store, descriptor, reference, how)).digest
    }
    await body({ t, server, store, push, events })
  })
}

const large = someBytes(5250).toString('hex')

/** What was sent of a blob, as `METHOD STATUS`. */
function uploadsIn({ log }: RegistryServer): string[] {
  return log.filter(line => line.includes('/blobs/uploads/')).map(line => line.replace(/ .* /, ' '))
}

pushing(
  'blobs come first, the configuration after the layers, then the manifest, then the tag',
  async ({ t, server, push }) => {
    const digest = await push('content', named(server, 'team/app:1'))
    t.is(server.manifests.get('team/app')?.get('1')?.mediaType, mediaTypes.manifest)
    const order = server.log
      .filter(line => line.startsWith('PUT'))
      .map(line => line.replace(/uploads.*digest=/, '').replaceAll('%3A', ':'))
    const config = sha256(
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        rootfs: { type: 'layers', diff_ids: [sha256('content')] },
      }),
    )
    t.deepEqual(
      order.map(line => line.split(/[/&]/).at(-1)),
      [`${sha256('content')} 201`, `${config} 201`, `${digest} 201`, '1 201'],
    )
  },
)

pushing('what the tag says already is one question', async ({ t, server, push }) => {
  await push('content', named(server, 'app:1'))
  const before = server.log.length
  await push('content', named(server, 'app:1'))
  t.deepEqual(server.log.slice(before), ['HEAD /v2/app/manifests/1 200'])
})

pushing('what the registry has is not sent again', async ({ t, server, push }) => {
  await push('content', named(server, 'app:1'))
  const before = server.log.length
  await push('content', named(server, 'app:2'))
  t.deepEqual(
    server.log.slice(before).filter(line => /^(?:POST|PATCH)/.test(line)),
    [],
  )
})

pushing('a blob is sent whole where the registry takes that', async ({ t, server, push }) => {
  await push(large, named(server, 'app:1'))
  t.deepEqual([...new Set(uploadsIn(server))], ['POST 202', 'PUT 201'])
})

for (const absoluteLocations of [true, false])
  pushing(
    `in pieces where it takes no whole ones, at ${absoluteLocations ? 'addresses' : 'paths'}`,
    async ({ t, server, push }) => {
      await push(large, named(server, 'app:1'))
      const patches = uploadsIn(server).filter(line => line === 'PATCH 202')
      t.true(patches.length >= Math.ceil(10_500 / quickLimits.chunkBytes))
      const before = server.log.length
      await push(`${large}!`, named(server, 'app:2'))
      // It was learnt: no whole blob is tried again.
      t.false(server.log.slice(before).some(line => line.endsWith('413')))
    },
    { habits: { takesWhole: false, absoluteLocations } },
  )

pushing(
  'pieces are as long as the registry wants them at least',
  async ({ t, server, push }) => {
    await push(large, named(server, 'app:1'))
    const lengths = uploadsIn(server).filter(line => line === 'PATCH 202')
    t.is(lengths.length, 3 + 1)
  },
  { habits: { takesWhole: false, chunkMinLength: 4000 } },
)

pushing(
  'a registry that takes pieces no more gets blobs whole again',
  async ({ t, server, push }) => {
    server.habits = { takesWhole: false }
    await push('one', named(server, 'app:1'))
    server.habits = { takesPieces: false }
    await t.notThrowsAsync(push('two', named(server, 'app:2')))
  },
)

pushing(
  'a registry that takes neither is an error with its words',
  async ({ t, server, push }) => {
    await t.throwsAsync(push('content', named(server, 'app:1')), {
      code: 'REGISTRY_FAILED',
      message: /answered 413/,
    })
    t.is(server.manifests.get('app')?.size ?? 0, 0)
  },
  { habits: { takesWhole: false, takesPieces: false } },
)

pushing(
  'an upload goes on where the registry says it is after a 416',
  async ({ t, server, push }) => {
    server.habits = { takesWhole: false }
    server.intercept = async ({ request, response, method, url, count }) => {
      if (method !== 'PATCH' || count !== 3) return false
      await bodyOf(request)
      response.writeHead(416, { location: `${url.pathname}${url.search}`, range: '0-1' }).end()
      return true
    }
    const digest = await push(large, named(server, 'app:1'))
    t.truthy(server.manifests.get('app')?.get(digest))
    t.true(uploadsIn(server).includes('GET 204'))
  },
)

pushing('an upload goes on after a lost connection', async ({ t, server, push }) => {
  server.habits = { takesWhole: false }
  server.intercept = ({ request, method, count }) => {
    if (method !== 'PATCH' || count !== 2) return false
    request.socket.resetAndDestroy()
    return true
  }
  await push(large, named(server, 'app:1'))
  t.is(server.blobs.get('app')?.size, 2)
})

pushing('an upload that the registry forgot begins anew', async ({ t, server, push }) => {
  server.habits = { takesWhole: false }
  let forgotten = 0
  server.intercept = async ({ request, response, method, count }) => {
    if (method === 'PATCH' && count === 4 && forgotten === 0) {
      await bodyOf(request)
      forgotten = 1
      response.writeHead(502).end()
      return true
    }
    if (method !== 'GET' || forgotten !== 1) return false
    forgotten = 2
    sendError(response, 404, 'BLOB_UPLOAD_UNKNOWN')
    return true
  }
  await push(large, named(server, 'app:1'))
  t.is(forgotten, 2)
})

pushing('a whole blob is sent again after a lost connection', async ({ t, server, push }) => {
  let lost = 0
  server.intercept = ({ request, method, url }) => {
    if (method !== 'PUT' || !url.searchParams.has('digest') || lost > 0) return false
    lost++
    request.socket.resetAndDestroy()
    return true
  }
  await push('content', named(server, 'app:1'))
  t.is(server.blobs.get('app')?.size, 2)
})

for (const takesWhole of [true, false])
  pushing(
    `a blob whose good answer got lost is not sent again, ${takesWhole ? 'whole' : 'in pieces'}`,
    async ({ t, server, push }) => {
      let lost = 0
      server.intercept = ({ response, method, url }) => {
        const isEnd = method === 'PUT' && url.searchParams.has('digest')
        if (isEnd && lost === 0) {
          const end = response.end.bind(response)
          response.end = () => {
            if (response.statusCode !== 201) return end()
            lost++
            response.socket?.resetAndDestroy()
            return response
          }
        }
        return false
      }
      await push('content', named(server, 'app:1'))
      t.is(lost, 1)
      t.is(server.blobs.get('app')?.size, 2)
    },
    { habits: { takesWhole } },
  )

pushing(
  'the end of an upload may take longer than any other answer',
  async ({ t, server, push }) => {
    server.intercept = async ({ method, url }) => {
      if (method === 'PUT' && url.searchParams.has('digest'))
        await new Promise(resolve => setTimeout(resolve, 900))
      return false
    }
    t.true(quickLimits.answerMs < 900)
    await t.notThrowsAsync(push('content', named(server, 'app:1')))
  },
)

pushing('a refusal ends the push at once', async ({ t, server, push }) => {
  server.intercept = ({ request, response, method }) => {
    if (method !== 'POST') return false
    request.resume()
    sendError(response, 403, 'DENIED', 'your plan is over')
    return true
  }
  await t.throwsAsync(push('content', named(server, 'app:1')), {
    code: 'REGISTRY_DENIED',
    message: /denied: your plan is over/,
  })
  t.is(server.log.filter(line => line.startsWith('POST')).length, 1)
})

pushing(
  'a registry that got other bytes says so, and it is no reason for another way',
  async ({ t, server, push }) => {
    server.intercept = async ({ request, response, method, url }) => {
      if (method !== 'PUT' || !url.searchParams.has('digest')) return false
      await bodyOf(request)
      sendError(response, 400, 'DIGEST_INVALID', 'provided digest did not match')
      return true
    }
    await t.throwsAsync(push('content', named(server, 'app:1')), { code: 'CHECKSUM_MISMATCH' })
  },
)

for (const location of ['file:///etc/passwd', 'ftp://example.org/x', '', 'http://[broken'])
  pushing(`an upload is not sent to "${location}"`, async ({ t, server, push }) => {
    server.intercept = ({ request, response, method }) => {
      if (method !== 'POST') return false
      request.resume()
      response.writeHead(202, location === '' ? {} : { location }).end()
      return true
    }
    await t.throwsAsync(push('content', named(server, 'app:1')), { code: 'REGISTRY_FAILED' })
  })

test('a damaged store sends nothing that a registry could take for the blob', async t => {
  await using server = await serveRegistry()
  await using registries = await quickRegistries()
  const store = memoryStore()
  const descriptor = await putImage(store, 'content')
  let attempts = 0
  const damaged: ImageStore = {
    ...store,
    async openBlob(wanted) {
      if (wanted.mediaType !== mediaTypes.layerTar) return await store.openBlob(wanted)
      attempts++
      return (await import('node:stream')).Readable.from([Buffer.from('con'), Buffer.from('tenx')])
    },
  }
  const reference = named(server, 'app:1')
  await t.throwsAsync(
    pushImage(damaged, descriptor, reference, { registries, emit: ignoreEvents }),
    {
      code: 'CHECKSUM_MISMATCH',
    },
  )
  t.is(attempts, 1)
  t.is(server.blobs.get('app')?.size ?? 0, 0)
})

test('a blob of another repository of the registry is mounted, not sent', async t => {
  await using server = await serveRegistry()
  await using registries = await quickRegistries()
  const store = memoryStore()
  const descriptor = await putImage(store, 'content')
  giveBlob(server, 'base', Buffer.from('content'))
  const mountFrom = async (): Promise<string[]> => ['nowhere', 'base']
  const reference = named(server, 'app:1')
  await pushImage(store, descriptor, reference, { registries, mountFrom, emit: ignoreEvents })
  t.true(
    server.log.some(line => line.includes('from=base') && line.endsWith(' 201')) ||
      server.log.some(line => line.includes('from=nowhere')),
  )
  t.truthy(server.blobs.get('app')?.get(sha256('content')))
})

test('an index goes behind its images; without all of them the only one goes alone, and a warning says so', async t => {
  await using server = await serveRegistry()
  await using registries = await quickRegistries()
  const store = memoryStore()
  const events: BuildEvent[] = []
  const emit = (event: BuildEvent): void => void events.push(event)
  const here = {
    ...(await putImage(store, 'amd64')),
    platform: { os: 'linux', architecture: 'amd64' },
  }
  const there = {
    ...(await putImage(store, 'arm64')),
    platform: { os: 'linux', architecture: 'arm64' },
  }
  const index = await putText(
    store,
    mediaTypes.index,
    JSON.stringify({ schemaVersion: 2, manifests: [here, there] }),
  )
  await pushImage(store, index, named(server, 'app:all'), { registries, emit })
  t.is(server.manifests.get('app')?.get('all')?.mediaType, mediaTypes.index)
  const partial = memoryStore()
  await putImage(partial, 'amd64')
  await putText(
    partial,
    mediaTypes.index,
    JSON.stringify({ schemaVersion: 2, manifests: [here, there] }),
  )
  const alone = await pushImage(partial, index, named(server, 'other:1'), { registries, emit })
  t.is(alone.digest, here.digest)
  t.regex(JSON.stringify(events.filter(({ kind }) => kind === 'warning')), /linux\/amd64 alone/)
  // Where the registry has the others, the index is whole.
  t.is(
    (await pushImage(partial, index, named(server, 'app:again'), { registries, emit })).digest,
    index.digest,
  )
})

test('progress says bytes, and never more than there are', async t => {
  await using server = await serveRegistry()
  await using registries = await quickRegistries({
    limits: { ...quickLimits, answerMs: 10_000, chunkBytes: 1e9 },
  })
  const store = memoryStore()
  const content = 'x'.repeat(3_000_000)
  const descriptor = await putImage(store, content)
  const events: BuildEvent[] = []
  await pushImage(store, descriptor, parseReference(`${server.host}/app:1`), {
    registries,
    emit: event => void events.push(event),
  })
  const told = events.filter(
    event => event.kind === 'step-progress' && event.id.endsWith(sha256(content)),
  )
  const last = told.at(-1)
  t.like(last, { done: 3_000_000, total: 3_000_000, unit: 'bytes' })
})

test('what a mirror has says nothing of what the registry has', async t => {
  await using server = await serveRegistry()
  await using mirror = await serveRegistry()
  using scratch = makeScratch()
  const conf = scratch.at('registries.conf')
  const text = `[[registry]]\nlocation = "${server.host}"\n[[registry.mirror]]\nlocation = "${mirror.host}"\n`
  writeFileSync(conf, text)
  const store = memoryStore()
  const descriptor = await putImage(store, 'content')
  await using direct = await quickRegistries()
  await pushImage(store, descriptor, named(mirror, 'app:1'), {
    registries: direct,
    emit: ignoreEvents,
  })
  await using registries = await quickRegistries({
    environment: { CONTAINERS_REGISTRIES_CONF: conf },
  })
  const before = mirror.log.length
  await pushImage(store, descriptor, named(server, 'app:1'), { registries, emit: ignoreEvents })
  t.truthy(server.manifests.get('app')?.get('1'))
  t.is(mirror.log.length, before)
})
