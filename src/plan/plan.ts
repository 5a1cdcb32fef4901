// What a build is before it runs. A KIWI description and a Dockerfile both lower to a BuildPlan; one executor runs it.
// Values are pure data: no host paths but those of the named contexts, no times, nothing of the caller's environment.

import type { SourcePosition } from '../core/errors.ts'
import type { Digest } from '../oci/digest.ts'
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
  /** An image that lowering looked up; `manifest` is the manifest that was chosen for the stage's platform. */
  | {
      readonly kind: 'image'
      readonly reference: string
      readonly manifest: Digest
      readonly where?: SourcePosition
    }
  | { readonly kind: 'stage'; readonly stage: string }

/** A root that a step reads from without changing it. An image to read from is a stage without steps. */
export type SourceRoot =
  | { readonly kind: 'context'; readonly context: string }
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

/** Owner and permission bits of what a mount makes. */
export interface MountAttributes {
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** Something that is mounted while a RUN instruction works; nothing of it stays in the image. */
export type BuildMount =
  /** A file or directory of another root; what is written to it is thrown away. */
  | {
      readonly kind: 'bind'
      readonly target: GuestPath
      readonly from: SourceRoot
      readonly source: GuestPath
      readonly writable: boolean
    }
  /** A directory that outlives the build, found by its id; starts empty or as a copy of a directory in `from`. */
  | ({
      readonly kind: 'cache'
      readonly target: GuestPath
      readonly id: string
      readonly sharing: 'shared' | 'private' | 'locked'
      readonly writable: boolean
      readonly from?: SourceRoot
      readonly source: GuestPath
    } & MountAttributes)
  | { readonly kind: 'tmpfs'; readonly target: GuestPath; readonly sizeBytes?: number }
  /** A value that the caller hands to the build, as a file, in a variable or both; never part of a key. */
  | ({
      readonly kind: 'secret'
      readonly id: string
      readonly target?: GuestPath
      readonly variable?: string
      readonly required: boolean
    } & MountAttributes)
  /** A socket of the caller's ssh agent, named in SSH_AUTH_SOCK. */
  | ({
      readonly kind: 'ssh'
      readonly id: string
      readonly target: GuestPath
      readonly required: boolean
    } & MountAttributes)

/** Runs a program in the root. */
export interface RunStep extends StepCommon {
  readonly kind: 'run'
  readonly command: readonly string[]
  readonly environment: readonly string[]
  readonly directory: GuestPath
  readonly user: string
  /** Name of the machine that the program sees; undefined: the runtime's own choice. */
  readonly hostname?: string
  /** `bridge`: a network of its own with a way out through the host's address. */
  readonly network: 'none' | 'host' | 'bridge'
  readonly mounts: readonly TransientMount[]
  readonly buildMounts?: readonly BuildMount[]
  /** `insecure`: all capabilities, no system call filter; only where the caller allows it. */
  readonly security?: 'sandbox' | 'insecure'
  /** A script of a description sees the time of the image in SOURCE_DATE_EPOCH; an instruction sees what it declared. */
  readonly showsEpoch: boolean
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

/** Something that COPY or ADD names. */
export type FileSource =
  /** A path below the step's `from`, with wildcards of Go's filepath.Match. */
  | { readonly kind: 'pattern'; readonly pattern: string }
  /** A here-document. */
  | { readonly kind: 'text'; readonly name: string; readonly text: string }
  | { readonly kind: 'http'; readonly url: string; readonly checksum?: Digest }
  | {
      readonly kind: 'git'
      readonly repository: string
      /** Branch, tag or commit; undefined: the remote's HEAD. */
      readonly revision?: string
      readonly directory?: string
      readonly keepGitDirectory: boolean
      readonly submodules: boolean
      /** A commit's hash or the beginning of one, which the revision must be. */
      readonly commit?: string
      /** Ask for `commit` itself; `revision` only names it afterwards. */
      readonly fetchesCommit?: boolean
      /** Times of the files: of the checkout, or of the commit. */
      readonly times?: 'checkout' | 'commit'
    }

/** Copies what patterns, here-documents and addresses name into the root: COPY and ADD. */
export interface AddStep extends StepCommon {
  readonly kind: 'add'
  readonly from: SourceRoot
  readonly sources: readonly FileSource[]
  readonly target: GuestPath
  /** The target was written with a slash at its end. */
  readonly targetIsDirectory: boolean
  /** `USER[:GROUP]`, names looked up in the root; undefined: root for contexts, as they are for other roots. */
  readonly owner?: string
  /** Octal or symbolic, as chmod(1) takes it. */
  readonly mode?: string
  /** Keep the directories of a source below the target; `/./` in a pattern says from where on. */
  readonly parents: boolean
  /** Patterns as in an ignore file of what is left out. */
  readonly excludes: readonly string[]
  /** The result depends on nothing below it, and its layer fits on any other base. */
  readonly link: boolean
  /** `local`: tar archives of `pattern` sources are unpacked, as ADD does. */
  readonly unpack: 'local' | 'all' | 'none'
}

/** Makes a directory and its missing parents, mode 0755; one that is there is left as it is. */
export interface MakeDirectoryStep extends StepCommon {
  readonly kind: 'make-directory'
  readonly target: GuestPath
  /** `USER[:GROUP]`, names looked up in the root. */
  readonly owner: string
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
  | AddStep
  | MakeDirectoryStep

/** A line of history without what the commit adds to it. */
export type HistoryLine = Omit<HistoryEntry, 'created' | 'empty_layer'>

/** How the history and the layers of a stage come about. */
export type StageHistory =
  /** One layer, or one for each phase; the line is about the last. */
  | { readonly kind: 'phases'; readonly line: HistoryLine }
  /** A line for each instruction, in order; those with the index of a step have that step's changes as their layer. */
  | {
      readonly kind: 'instructions'
      readonly lines: readonly (HistoryLine & { readonly step?: number })[]
    }

/** Steps over one root, in order, and the configuration of the image they make. */
export interface BuildStage {
  readonly id: string
  /** What people read in progress where the base comes up, such as `[build 1/5] FROM debian:12`. */
  readonly title?: string
  /** What its programs run on. */
  readonly platform: Platform
  /** What the image says it is for, where that is something else. */
  readonly imagePlatform?: Platform
  readonly base: StageBase
  readonly steps: readonly BuildStep[]
  /** Whole: what the base's configuration says is in it already. */
  readonly config: RunConfig
  readonly author?: string
  /** Of this stage alone; a base image's or a base stage's own comes before it. */
  readonly history: StageHistory
}

/** A directory of the host that steps read from. */
export interface PlanContext {
  readonly directory: string
  /** Patterns of its ignore file; what they match is not there for the build. */
  readonly ignore?: readonly string[]
}

/** A whole build: stages in an order in which each stands after those it uses; the last one is the result. */
export interface BuildPlan {
  readonly stages: readonly BuildStage[]
  /** By name; steps refer to them by name only. */
  readonly contexts: Readonly<Record<string, PlanContext>>
}
