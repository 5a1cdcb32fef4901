// What a caller asks a package manager for: the data of a plan's install and remove steps, without their place in it.

import type { InstallStep, RemoveStep } from '../plan/plan.ts'

export type InstallRequest = Pick<
  InstallStep,
  'bootstrap' | 'repositories' | 'packages' | 'ignore' | 'recommended' | 'excludeDocs'
> & {
  /** `uname -m` name; the manager derives its own: x86_64 is amd64 for Debian. */
  readonly machine: string
}

export type RemoveRequest = Pick<RemoveStep, 'mode' | 'packages'>
