// Hosts of registries: what Docker Hub is called where, which hosts are this machine, and how addresses appear in messages.

/** Docker Hub's name in references, its API's host, and the key of its credentials (docker has kept it since v1). */
export const dockerHub = {
  name: 'docker.io',
  apiHost: 'registry-1.docker.io',
  credentialsKey: 'https://index.docker.io/v1/',
} as const

/** The host that answers for a registry's name. */
export function apiHost(registry: string): string {
  return registry === dockerHub.name ? dockerHub.apiHost : registry
}

/** What people and files may call a registry, brought to one form: `docker.io`, `example.org:5000`. */
export function canonicalRegistry(text: string): string {
  const host = text.replace(/^https?:\/\//i, '').replace(/\/.*$/s, '')
  const isHub = /^(?:index\.docker\.io|registry-1\.docker\.io|registry\.hub\.docker\.com)$/.test(
    host,
  )
  return isHub ? dockerHub.name : host
}

/** Only this machine can listen there, so plain http gives nothing away. */
export function isLoopbackHost(hostname: string): boolean {
  const name = hostname.replace(/^\[|\]$/g, '')
  return /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/i.test(name)
}

/**
 * Addresses of the own link, where clouds tell machines their secrets: nothing that a registry says may lead there, unless
 * it lives there itself.
 */
export function isLinkLocalHost(hostname: string): boolean {
  const name = hostname.replace(/^\[|\]$/g, '').toLowerCase()
  return (
    /^169\.254\.\d{1,3}\.\d{1,3}$/.test(name) ||
    /^fe[89ab][0-9a-f]:/.test(name) ||
    name.startsWith('::ffff:a9fe:') ||
    /^(?:fd00:ec2::254|metadata\.google\.internal|metadata)$/.test(name)
  )
}

/** An address for messages: signed ones have secrets behind the path. */
export function publicAddress(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}
