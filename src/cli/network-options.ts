// --network and what goes with it, and -p, in docker's spelling.

import { isIP } from 'node:net'
import type { ContainerSpec } from '../container/container.ts'
import {
  defaultNetwork,
  type NetworkAttachment,
  type NetworkRequest,
  onDefaultBridge,
} from '../container/network-request.ts'
import { KauriError } from '../core/errors.ts'
import type { PublishedPort } from '../network/port-relay.ts'
import type { RunConfig } from '../oci/image-config.ts'
import type { OptionSpec, ParsedOptions } from './command.ts'
import { badValue, parseInteger } from './option-values.ts'
import { parseExposed, parsePublish } from './port-options.ts'

export const networkOptions: readonly OptionSpec[] = [
  {
    long: 'expose',
    value: 'PORT[/udp]',
    repeat: true,
    summary: 'A port for -P beside the image’s',
  },
  { long: 'ip', value: 'ADDRESS', summary: 'This IPv4 address of a network of your own' },
  { long: 'ip6', value: 'ADDRESS', summary: 'Refused: networks have IPv4 addresses only' },
  { long: 'link', value: 'CONTAINER', repeat: true, summary: 'Refused: use a network of your own' },
  {
    long: 'mac-address',
    value: 'ADDRESS',
    summary: 'This hardware address, such as 02:42:ac:11:00:02',
  },
  {
    long: 'network',
    value: 'NETWORK',
    repeat: true,
    summary: 'bridge (the default), none, host, container:NAME, or the name of a network',
  },
  { long: 'network-alias', value: 'NAME', repeat: true, summary: 'One more name on the network' },
  {
    long: 'publish',
    short: 'p',
    value: '[[ADDRESS:]PORT:]PORT[/udp]',
    repeat: true,
    summary: 'Let a port of the host lead to one of the container',
  },
  { long: 'publish-all', short: 'P', summary: 'Publish every exposed port on one that is free' },
]

/** What the options ask for; `-P` is for exposedPorts. @throws USAGE, UNSUPPORTED */
export function readNetworking(options: ParsedOptions): Pick<ContainerSpec, 'network' | 'ports'> {
  refuseOld(options)
  const words = options.texts('network')
  const own = ownWords(options)
  const network = readNetwork(words, own)
  return { network, ports: options.texts('publish').flatMap(text => parsePublish(text)) }
}

function refuseOld(options: ParsedOptions): void {
  if (options.texts('link').length > 0)
    throw new KauriError('UNSUPPORTED', '--link is of the past', {
      hint: 'put both containers on a network (kauri network create NAME, --network NAME): there they find each other by name, and by --network-alias',
    })
  if (options.text('ip6') !== undefined)
    throw new KauriError('UNSUPPORTED', 'networks have IPv4 addresses only', { hint: 'use --ip' })
}

type OwnWords = Pick<NetworkAttachment, 'aliases' | 'address' | 'hardwareAddress'>

function ownWords(options: ParsedOptions): OwnWords {
  const address = options.text('ip')
  const hardwareAddress = options.text('mac-address')
  return {
    aliases: options.texts('network-alias').map(alias => checkedAlias('--network-alias', alias)),
    ...(address === undefined ? {} : { address: checkedAddress('--ip', address) }),
    ...(hardwareAddress === undefined ? {} : { hardwareAddress: hardware(hardwareAddress) }),
  }
}

function readNetwork(words: readonly string[], own: OwnWords): NetworkRequest {
  const [first = defaultNetwork, ...more] = words
  const alone = aloneNetwork(first)
  const hasOwn = own.aliases.length > 0 || own.address !== undefined
  if (alone !== undefined) {
    if (more.length > 0)
      throw new KauriError('USAGE', `--network ${first} goes with no other network`)
    if (hasOwn || own.hardwareAddress !== undefined)
      throw new KauriError('USAGE', `with --network ${first} a container has no address of its own`)
    return alone
  }
  if (words.length === 0 && !hasOwn && own.hardwareAddress === undefined) return onDefaultBridge
  const attachments = [first, ...more].map(readAttachment)
  return {
    kind: 'networks',
    attachments: attachments.map((a, i) => (i === 0 ? joined(a, own) : a)),
  }
}

function aloneNetwork(word: string): NetworkRequest | undefined {
  if (word === 'none' || word === 'host') return { kind: word }
  if (!word.startsWith('container:')) return undefined
  const container = word.slice('container:'.length)
  if (container !== '') return { kind: 'container', container }
  throw badValue('--network', word, 'write container:NAME')
}

/** What stands for the first network may be said on its own, too. */
function joined(attachment: NetworkAttachment, own: OwnWords): NetworkAttachment {
  return { ...attachment, ...own, aliases: [...attachment.aliases, ...own.aliases] }
}

/** `NAME`, or `name=NAME,alias=A,ip=ADDRESS,mac-address=M,gw-priority=N`. */
function readAttachment(text: string): NetworkAttachment {
  const none = { aliases: [], gatewayPriority: 0 }
  if (!text.includes('=')) return { ...none, network: networkName(text) }
  return text.split(',').reduce(
    (read: NetworkAttachment, field): NetworkAttachment => {
      const equals = field.indexOf('=')
      const value = field.slice(equals + 1)
      switch (field.slice(0, equals)) {
        case 'name':
          return { ...read, network: networkName(value) }
        case 'alias':
          return { ...read, aliases: [...read.aliases, checkedAlias('--network alias', value)] }
        case 'ip':
          return { ...read, address: checkedAddress('--network ip', value) }
        case 'mac-address':
          return { ...read, hardwareAddress: hardware(value) }
        case 'gw-priority': {
          const bounds = { min: -32_768, max: 32_767 }
          return { ...read, gatewayPriority: parseInteger('--network gw-priority', value, bounds) }
        }
        default:
          throw badValue(
            '--network',
            text,
            'fields are name, alias, ip, mac-address and gw-priority',
          )
      }
    },
    { ...none, network: defaultNetwork },
  )
}

/** docker's other word for the default one. */
export function networkName(text: string): string {
  if (text === 'default') return defaultNetwork
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(text)) return text
  throw badValue(
    '--network',
    text,
    'write bridge, none, host, container:NAME or the name of a network',
  )
}

/** A name on a network. @throws USAGE */
export function checkedAlias(option: string, alias: string): string {
  if (/^[a-zA-Z0-9_](?:[a-zA-Z0-9_.-]{0,252}[a-zA-Z0-9_])?$/.test(alias)) return alias
  throw badValue(option, alias, 'write letters, digits, "_", "." and "-"')
}

/** An IPv4 address. @throws USAGE */
export function checkedAddress(option: string, address: string): string {
  if (isIP(address) === 4) return address
  throw badValue(option, address, 'write an IPv4 address')
}

function hardware(text: string): string {
  const isOne = /^[0-9a-fA-F][02468aceACE](?::[0-9a-fA-F]{2}){5}$/.test(text)
  if (isOne && /[1-9a-fA-F]/.test(text)) return text.toLowerCase()
  throw badValue(
    '--mac-address',
    text,
    'write six bytes such as 02:42:ac:11:00:02, the first one even',
  )
}

/** The ports as asked for, and with `-P` any free one for each that the image or `--expose` names. @throws USAGE */
export function publishedPorts(
  asked: readonly PublishedPort[],
  options: ParsedOptions,
  { ExposedPorts: exposed = {} }: RunConfig,
): readonly PublishedPort[] {
  const named = options.texts('expose').flatMap(text => parseExposed('--expose', text))
  if (!options.flag('publish-all')) return asked
  const all = [...Object.keys(exposed).flatMap(text => parseExposed('EXPOSE', text)), ...named]
  const known = new Set(asked.map(keyOf))
  return [
    ...asked,
    ...all.filter(port => {
      const isNew = !known.has(keyOf(port))
      known.add(keyOf(port))
      return isNew
    }),
  ]
}

function keyOf({ protocol, containerPort }: PublishedPort): string {
  return `${containerPort}/${protocol}`
}
