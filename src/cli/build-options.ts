// The options of `kauri build`, in the spelling and meaning of docker buildx. Reading them is in the files beside this
// one, loaded when a build runs.

import type { OptionSpec } from './command.ts'
import { registryOptions } from './registry-options.ts'

/** What is built, and what goes in. */
const inputOptions: readonly OptionSpec[] = [
  {
    long: 'file',
    short: 'f',
    value: 'FILE',
    summary: 'Dockerfile, or - for standard input (default: CONTEXT/Dockerfile or Containerfile)',
  },
  { long: 'target', value: 'STAGE', summary: 'Build this stage and what it needs' },
  {
    long: 'build-arg',
    value: 'NAME[=VALUE]',
    repeat: true,
    summary: "Set a build argument; NAME alone takes the caller's variable",
  },
  {
    long: 'build-context',
    value: 'NAME=VALUE',
    repeat: true,
    summary: 'Name a directory, a git or http address, docker-image://NAME or oci-layout://DIR',
  },
  {
    long: 'platform',
    value: 'PLATFORM,...',
    repeat: true,
    summary: 'Platforms to build for; several make an index',
  },
  { long: 'pull', summary: 'Ask registries for newer images, also where one is here' },
]

/** What RUN instructions get. */
const runOptions: readonly OptionSpec[] = [
  {
    long: 'secret',
    value: 'id=ID[,src=FILE|,env=NAME]',
    repeat: true,
    summary: 'Secret for RUN --mount=type=secret; never part of the image or a key',
  },
  {
    long: 'ssh',
    value: 'default|ID[=SOCKET|KEY,...]',
    repeat: true,
    summary: 'Agent or keys for RUN --mount=type=ssh and for git over ssh',
  },
  {
    long: 'network',
    value: 'NETWORK',
    choices: ['default', 'none', 'host', 'bridge'],
    summary: 'Network of RUN: default (a bridge of its own), none or host',
  },
  {
    long: 'allow',
    value: 'WHAT',
    repeat: true,
    summary: 'Let instructions ask for network.host or security.insecure',
  },
  {
    long: 'add-host',
    value: 'NAME:ADDRESS',
    repeat: true,
    summary: 'Add a line to /etc/hosts; the address host-gateway is the host',
  },
  { long: 'shm-size', value: 'BYTES', summary: 'Size of /dev/shm, 64m by default' },
  { long: 'ulimit', value: 'NAME=SOFT[:HARD]', repeat: true, summary: 'Set a resource limit' },
  { long: 'memory', short: 'm', value: 'BYTES', summary: 'Limit memory, such as 512m' },
  { long: 'memory-swap', value: 'BYTES', summary: 'Limit memory and swap together; -1: no limit' },
  { long: 'cpus', value: 'N', summary: 'Number of processors, such as 1.5' },
  { long: 'cpu-period', value: 'MICROSECONDS', summary: 'Period of the CPU quota' },
  { long: 'cpu-quota', value: 'MICROSECONDS', summary: 'CPU time in each period' },
  { long: 'cpu-shares', short: 'c', value: 'N', summary: 'Weight of the CPU share' },
  { long: 'cpuset-cpus', value: 'LIST', summary: 'Processors to run on, such as 0-2,4' },
  { long: 'cpuset-mems', value: 'LIST', summary: 'Memory nodes to use' },
]

/** What decides the steps of a build, for those who only look at them. */
export const stepOptions: readonly OptionSpec[] = [
  ...inputOptions,
  ...runOptions,
  { long: 'label', value: 'KEY=VALUE', repeat: true, summary: 'Add a label to the image' },
  ...registryOptions,
]

/** What comes out. */
const resultOptions: readonly OptionSpec[] = [
  { long: 'tag', short: 't', value: 'NAME[:TAG]', repeat: true, summary: 'Name of the image' },
  { long: 'label', value: 'KEY=VALUE', repeat: true, summary: 'Add a label to the image' },
  {
    long: 'annotation',
    value: '[TYPE:]KEY=VALUE',
    repeat: true,
    summary: 'Add an annotation to the manifest, or to what TYPE says',
  },
  {
    long: 'output',
    short: 'o',
    value: 'DIR|-|type=TYPE,dest=PATH',
    repeat: true,
    summary: 'Where the result goes: type is image, docker, oci, tar, local or registry',
  },
  { long: 'push', summary: 'Short for --output=type=registry' },
  { long: 'load', summary: 'Short for --output=type=image: the local store, which is the default' },
  {
    long: 'compression',
    value: 'CODEC[:LEVEL]',
    summary: 'Of new layers: zstd (default), gzip, none or zstd-codec',
  },
  { long: 'iidfile', value: 'FILE', summary: 'Write the digest of the image to a file' },
  {
    long: 'metadata-file',
    value: 'FILE',
    summary: 'Write what came of the build to a file, as JSON',
  },
  {
    long: 'source-date-epoch',
    value: 'SECONDS',
    summary: 'Time of the image and of its new layers; by default SOURCE_DATE_EPOCH',
  },
  {
    long: 'rewrite-timestamp',
    summary: 'Set what is newer than the build argument SOURCE_DATE_EPOCH to that time',
  },
]

/** What is used again, and where it is kept. */
const cacheOptions: readonly OptionSpec[] = [
  { long: 'no-cache', summary: 'Carry out every step again' },
  {
    long: 'no-cache-filter',
    value: 'STAGE,...',
    repeat: true,
    summary: 'Carry out the steps of these stages again',
  },
  {
    long: 'cache-from',
    value: 'NAME|type=TYPE,...',
    repeat: true,
    summary: 'Take results from type=local,src=DIR or type=registry,ref=NAME',
  },
  {
    long: 'cache-to',
    value: 'NAME|type=TYPE,...',
    repeat: true,
    summary: 'Leave results in type=local,dest=DIR, type=registry,ref=NAME or type=inline',
  },
  { long: 'offline', summary: 'Ask no server: take what was downloaded before' },
]

/** For those who look before they build, and for scripts of docker's users. */
const otherOptions: readonly OptionSpec[] = [
  { long: 'check', summary: 'Only tell what the build checks find; exits with 1 where they do' },
  {
    long: 'call',
    value: 'WHAT',
    choices: ['build', 'check', 'outline', 'targets'],
    summary: 'build (default), check, or tell the arguments or the stages of the Dockerfile',
  },
  { long: 'rm', summary: 'Taken as always: nothing of a step stays behind' },
  { long: 'force-rm', summary: 'Taken as always: nothing of a step stays behind' },
  {
    long: 'provenance',
    value: 'false',
    choices: ['false'],
    summary: 'Only false is taken: kauri attests nothing',
  },
  {
    long: 'sbom',
    value: 'false',
    choices: ['false'],
    summary: 'Only false is taken: kauri attests nothing',
  },
]

/** Where CONTEXT is a description and not a Dockerfile. */
const descriptionOnly: readonly OptionSpec[] = [
  { long: 'profile', value: 'NAME', repeat: true, summary: 'For a description: build with it' },
  { long: 'type', value: 'TYPE', summary: 'For a description: build this image type' },
  {
    long: 'target-dir',
    value: 'DIR',
    summary: 'For a description: leave the result files there (default: none are kept)',
  },
]

/** Options of `build`; each is honoured or refused. */
export const buildOptions: readonly OptionSpec[] = [
  ...inputOptions,
  ...runOptions,
  ...resultOptions,
  ...cacheOptions,
  ...registryOptions,
  ...otherOptions,
  ...descriptionOnly,
]

/** Those that mean something for a description, too. */
export const optionsForDescriptions: ReadonlySet<string> = new Set([
  ...descriptionOnly.map(({ long }) => long),
  'tag',
  'label',
  'no-cache',
  'offline',
  'network',
  'compression',
  'source-date-epoch',
  'rm',
  'force-rm',
])
