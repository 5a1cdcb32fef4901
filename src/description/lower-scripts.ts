// The description's scripts as steps. A script sees the root, the files KIWI would put there for it, the kiwi_* variables
// and nothing of the caller's environment.

import path from 'node:path'
import { defaultPath } from '../oci/image-config.ts'
import { guestPath, type RunStep, type TransientMount } from '../plan/plan.ts'
import type { HookName } from './description.ts'
import type { SelectedDescription } from './select-description.ts'

/** What all scripts of a build have in common. */
export interface ScriptContext {
  readonly selected: SelectedDescription
  readonly variables: ReadonlyMap<string, string>
  /** Text of /.profile. */
  readonly profile: string
  /** Text of /.kconfig. */
  readonly library: string
  readonly network: 'none' | 'host'
}

/** The step that runs a script, where the description has it. */
export function scriptStep(name: HookName, context: ScriptContext): RunStep[] {
  const { selected, variables, network } = context
  const { files, file } = selected.description
  const script = files.hooks[name]
  if (script === undefined) return []
  const target = `/image/${name}`
  return [
    {
      kind: 'run',
      showsEpoch: true,
      title: name,
      where: { file: path.join(path.dirname(file), name), line: 1, column: 1 },
      phase: name === 'post_bootstrap.sh' ? 'bootstrap' : 'config',
      command: script.isProgram ? [target] : ['/bin/bash', target],
      environment: [
        `PATH=${defaultPath}`,
        'HOME=/root',
        'LANG=C.UTF-8',
        ...Array.from(variables, ([key, value]) => `${key}=${value}`),
      ],
      directory: guestPath('/'),
      user: 'root',
      network,
      mounts: mountsFor(name, context),
    },
  ]
}

/**
 * The script itself, the helper library, the variables, and what else of the description scripts look at. Other scripts
 * and the overlay are not among it: each mounted file is part of the step's key, and a change of config.sh must not make
 * post_bootstrap.sh run again.
 */
function mountsFor(
  script: HookName,
  { selected, profile, library }: ScriptContext,
): TransientMount[] {
  const { description, packages } = selected
  const { bootstrap, image } = packages
  const named = [bootstrap, image].flatMap(({ archives, files }) =>
    [...archives, ...files].map(({ name }) => path.posix.normalize(name.value)),
  )
  return [
    text('/.kconfig', library),
    text('/.profile', profile),
    fromDescription('/image/config.xml', path.posix.normalize(description.fileName)),
    ...[...new Set([script, ...named])].map(file => fromDescription(`/image/${file}`, file)),
  ]
}

function fromDescription(target: string, file: string): TransientMount {
  return {
    target: guestPath(target),
    content: { kind: 'context', source: { context: 'description', path: file } },
  }
}

function text(target: string, content: string): TransientMount {
  return { target: guestPath(target), content: { kind: 'text', text: content, mode: 0o644 } }
}
