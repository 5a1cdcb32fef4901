// What a build is before it runs. A KIWI description and a Dockerfile both lower to a BuildPlan; one executor runs it.
// Values are pure data: no host paths but those of the named contexts, no times, nothing of the caller's environment.

import type { SourcePosition } from '../core/errors.ts'
import type { HistoryEntry, RunConfig } from '../oci/image-config.ts'
import type { Platform } from '../oci/platform.ts'

/** An absolute path inside the image; never a host path. */
export type GuestPath = string & { readonly __brand: 'GuestPath' }

/** Makes a guest path absolute and free of `.`, `..` and doubled slashes; it cannot leave the root. */
export function guestPath(text: string): GuestPath {
  const parts: string[] = []
  for (const part of text.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') parts.pop()
    else parts.push(part)
  }
  return `/${parts.join('/')}` as GuestPath
}

/** A file or directory in one of the plan's contexts; the path is relative to the context's root. */
export interface ContextPath {
  readonly context: string
  readonly path: string
}

/** What a stage starts from. */
export type StageBase =
  | { readonly kind: 'scratch' }
  | { readonly kind: 'image'; readonly reference: string; readonly where?: SourcePosition }
  | { readonly kind: 'stage'; readonly stage: string }

interface StepCommon {
  /** What people read in progress and history, such as `config.sh`. */
  readonly title: string
  /** Where the user wrote it. */
  readonly where?: SourcePosition
  /** Steps of one phase share a layer when layers are kept by phase. */
  readonly phase: 'bootstrap' | 'packages' | 'config' | 'instruction'
}

/** Where packages come from; `location` is a URL or `obsrepositories:/`, the build host's own repositories. */
export interface PackageRepository {
  readonly alias: string
  readonly location: string
  readonly distribution?: string
  readonly components: readonly string[]
  readonly architectures?: readonly string[]
  readonly priority?: number
  /** Signing keys: file, http(s) or ftp URLs. */
  readonly keys: readonly string[]
  readonly checkSignatures: boolean
  /** Keep the repository's configuration in the image; `only`: use it for nothing else. */
  readonly inImage: 'no' | 'also' | 'only'
  readonly where?: SourcePosition
}

export interface PackageRequest {
  /** Name as the package manager takes it; `name=version` pins. */
  readonly name: string
  readonly where?: SourcePosition
}

/** Installs packages; `bootstrap` starts from an empty root and adds what the distribution cannot do without. */
export interface InstallStep extends StepCommon {
  readonly kind: 'install'
  readonly manager: PackageManagerName
  readonly bootstrap: boolean
  readonly repositories: readonly PackageRepository[]
  readonly packages: readonly PackageRequest[]
  readonly ignore: readonly string[]
  readonly recommended: boolean
  readonly excludeDocs: boolean
}

/** Removes packages: `uninstall` with what only they needed, `delete` just them, whatever depends on them. */
export interface RemoveStep extends StepCommon {
  readonly kind: 'remove'
  readonly manager: PackageManagerName
  readonly mode: 'uninstall' | 'delete'
  readonly packages: readonly PackageRequest[]
}

export type PackageManagerName = 'apt'

/** A file that is there only while a script runs; nothing of it stays in the image. */
export interface TransientMount {
  readonly target: GuestPath
  readonly content:
    | { readonly kind: 'text'; readonly text: string; readonly mode: number }
    | { readonly kind: 'context'; readonly source: ContextPath }
}

/** Runs a program in the root. */
export interface RunStep extends StepCommon {
  readonly kind: 'run'
  readonly command: readonly string[]
  readonly environment: readonly string[]
  readonly directory: GuestPath
  readonly user: string
  readonly network: 'none' | 'host'
  readonly mounts: readonly TransientMount[]
}

/** Copies a tree or a file of a context into the root. */
export interface CopyStep extends StepCommon {
  readonly kind: 'copy'
  readonly source: ContextPath
  readonly target: GuestPath
  /** `tree`: the contents of the source directory go below the target; `file`: the source becomes the target. */
  readonly as: 'tree' | 'file'
  /** Names or numbers, resolved in the image; undefined: root, as an overlay has it. */
  readonly owner?: string
  /** Permission bits for the copied file; undefined: as in the source. */
  readonly mode?: number
}

/** Unpacks a tar archive of a context into the root. */
export interface UnpackStep extends StepCommon {
  readonly kind: 'unpack'
  readonly source: ContextPath
  readonly target: GuestPath
  /** `root` makes everything root's, as an overlay archive has it; `archive` keeps what the archive says. */
  readonly ownership: 'archive' | 'root'
}

export interface GroupRequest {
  readonly name: string
  readonly id?: number
}

export interface UserRequest {
  readonly name: string
  /** A crypt(5) hash, or `!` for none. */
  readonly passwordHash: string
  readonly id?: number
  readonly home?: string
  readonly realName?: string
  readonly shell?: string
  /** First is primary. */
  readonly groups: readonly GroupRequest[]
  readonly where?: SourcePosition
}

/** Creates or changes users and groups in the root's own account files. */
export interface UsersStep extends StepCommon {
  readonly kind: 'users'
  readonly users: readonly UserRequest[]
}

/** Writes one small file, such as /etc/ImageID. */
export interface WriteStep extends StepCommon {
  readonly kind: 'write'
  readonly target: GuestPath
  readonly text: string
  readonly mode: number
}

/** Makes a symbolic link, such as /etc/localtime; what was at its place is replaced, parents are made. */
export interface LinkStep extends StepCommon {
  readonly kind: 'link'
  /** The link itself. */
  readonly target: GuestPath
  /** What the link says, as it will be read inside the image. */
  readonly to: string
}

/** One step over a root file system; what it does and reads is its name. */
export type BuildStep =
  | InstallStep
  | RemoveStep
  | RunStep
  | CopyStep
  | UnpackStep
  | UsersStep
  | WriteStep
  | LinkStep

/** Steps over one root, in order, and the configuration of the image they make. */
export interface BuildStage {
  readonly id: string
  readonly platform: Platform
  readonly base: StageBase
  readonly steps: readonly BuildStep[]
  readonly config: RunConfig
  readonly author?: string
  /** What the history says about the image's one layer, or its last phase. */
  readonly history: Omit<HistoryEntry, 'created' | 'empty_layer'>
}

/** A whole build: stages in an order in which each stands after those it uses; the last one is the result. */
export interface BuildPlan {
  readonly stages: readonly BuildStage[]
  /** Host directories by name; steps refer to them by name only. */
  readonly contexts: Readonly<Record<string, string>>
}
