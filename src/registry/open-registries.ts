// Puts the parts of the client together: settings from files and the environment, one transport, one session.

import { ignoreEvents } from '../core/events.ts'
import { parseReference } from '../oci/reference.ts'
import { endpointsOf } from './endpoints.ts'
import { credentialFinder } from './find-credentials.ts'
import { readHostsFiles } from './hosts-toml.ts'
import { type RegistriesConf, readRegistriesConf } from './registries-conf.ts'
import {
  type Credentials,
  defaultLimits,
  type Registries,
  type RegistryLimits,
  type RegistryOptions,
  type Signalled,
} from './registry.ts'
import { openRepository } from './repository.ts'
import { openSession, requireStatus, type Session } from './session.ts'
import { listRepositories } from './tags.ts'
import { tlsFinder } from './tls-files.ts'
import { openTransport, type ProxySettings } from './transport.ts'
import type { UploadWays } from './upload-blob.ts'

/** Reads the settings and connects to nobody. @throws USAGE where a file of settings is wrong */
export async function openRegistries(options: RegistryOptions): Promise<Registries> {
  const { emit = ignoreEvents, environment, tlsVerify = true } = options
  const conf = await readRegistriesConf(options)
  const how = { tlsVerify, hosts: await readHostsFiles(options) }
  const limits: RegistryLimits = { ...defaultLimits, ...options.limits }
  const transport = openTransport(limits, proxiesOf(environment))
  const open = (credentials: Credentials | undefined): Session =>
    openSession({
      transport,
      limits,
      tlsOf: tlsFinder(options),
      credentials: credentialFinder(
        credentials === undefined ? options : { ...options, credentials },
        conf.credentialHelpers,
      ),
      isInsecure: !tlsVerify,
      onWait(host, milliseconds) {
        if (milliseconds < toldFromMs) return
        const seconds = Math.ceil(milliseconds / 1000)
        emit({ kind: 'warning', message: `${host} is asked again in ${seconds} s` })
      },
    })
  const session = open(undefined)
  const ways: UploadWays = new Map()
  return {
    parseName: text => parseReference(withoutAlias(text, conf)),
    repository: name =>
      openRepository({
        name,
        session,
        endpoints: endpointsOf(name, conf, how),
        ways,
        onMirrorFailed: (host, error) =>
          emit({ kind: 'warning', message: `the mirror ${host} is left out: ${error.message}` }),
      }),
    async listRepositories(host, signalled = {}) {
      const { primary } = endpointsOf({ registry: host, repository: '' }, conf, how)
      return await listRepositories(session, primary, signalled)
    },
    async checkCredentials(host, credentials, signalled = {}) {
      const { primary } = endpointsOf({ registry: host, repository: '' }, conf, how)
      await ping(open(credentials), primary, signalled)
    },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}

const toldFromMs = 5000

/** The alias's name with the tag and digest that were typed; names with a registry have no aliases. */
function withoutAlias(text: string, { aliases }: RegistriesConf): string {
  const [name = ''] = /^[^:@]*/.exec(text) ?? []
  const full = aliases.get(name)
  return full === undefined ? text : `${full}${text.slice(name.length)}`
}

/** Asks for the API's root, which wants to know who asks (distribution-spec v1.1, end-1). */
async function ping(
  session: Session,
  endpoint: Parameters<Session['send']>[0]['endpoint'],
  { signal }: Signalled,
): Promise<void> {
  const what = `the answer of ${endpoint.host}`
  const answer = await session.read(
    { endpoint, method: 'GET', target: `${endpoint.apiRoot}/`, scopes: [], signal },
    { what, maxBytes: 1024 * 1024 },
  )
  await requireStatus(answer, 'GET', 200)
}

/** Lower-case names win, as everywhere. */
function proxiesOf(environment: RegistryOptions['environment']): ProxySettings {
  const value = (name: string): string | undefined => {
    const text = environment[name.toLowerCase()] ?? environment[name]
    return text === '' ? undefined : text
  }
  return {
    http: value('HTTP_PROXY') ?? value('ALL_PROXY'),
    https: value('HTTPS_PROXY') ?? value('ALL_PROXY'),
    none: value('NO_PROXY'),
  }
}
