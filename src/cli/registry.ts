// Every command of kauri: its words, and the file that is loaded when they are typed. A new command is one line here and
// one file in commands/.

import type { CommandSpec } from './command.ts'

/** Loads a command's file. */
export type LoadCommand = () => Promise<{ readonly command: CommandSpec }>

export interface CommandGroup {
  readonly title: string
  /** By the words as typed: `images`, `system build`. */
  readonly commands: Readonly<Record<string, LoadCommand>>
  /** Left out of overviews. */
  readonly isHidden?: boolean
}

export const commandGroups: readonly CommandGroup[] = [
  {
    title: 'Building from Dockerfiles',
    commands: {
      build: () => import('./commands/build.ts'),
    },
  },
  {
    title: 'Building from descriptions',
    commands: {
      'system build': () => import('./commands/system-build.ts'),
      check: () => import('./commands/check.ts'),
      plan: () => import('./commands/plan-command.ts'),
    },
  },
  {
    title: 'Images',
    commands: {
      copy: () => import('./commands/copy.ts'),
      df: () => import('./commands/df.ts'),
      diff: () => import('./commands/diff.ts'),
      export: () => import('./commands/export.ts'),
      fsck: () => import('./commands/fsck.ts'),
      gc: () => import('./commands/gc.ts'),
      history: () => import('./commands/history.ts'),
      'image append': () => import('./commands/image-append.ts'),
      'image config': () => import('./commands/image-config.ts'),
      'image rebase': () => import('./commands/image-rebase.ts'),
      'image squash': () => import('./commands/image-squash.ts'),
      images: () => import('./commands/images.ts'),
      import: () => import('./commands/import.ts'),
      inspect: () => import('./commands/inspect.ts'),
      load: () => import('./commands/load.ts'),
      login: () => import('./commands/login.ts'),
      logout: () => import('./commands/logout.ts'),
      'manifest add': () => import('./commands/manifest-add.ts'),
      'manifest annotate': () => import('./commands/manifest-annotate.ts'),
      'manifest create': () => import('./commands/manifest-create.ts'),
      'manifest inspect': () => import('./commands/manifest-inspect.ts'),
      'manifest push': () => import('./commands/manifest-push.ts'),
      'manifest rm': () => import('./commands/manifest-rm.ts'),
      pull: () => import('./commands/pull.ts'),
      push: () => import('./commands/push.ts'),
      rmi: () => import('./commands/rmi.ts'),
      save: () => import('./commands/save.ts'),
      tag: () => import('./commands/tag.ts'),
      tree: () => import('./commands/tree.ts'),
      verify: () => import('./commands/verify.ts'),
    },
  },
  {
    title: 'Containers',
    commands: {
      attach: () => import('./commands/attach.ts'),
      commit: () => import('./commands/commit.ts'),
      'container prune': () => import('./commands/container-prune.ts'),
      cp: () => import('./commands/cp.ts'),
      create: () => import('./commands/create.ts'),
      events: () => import('./commands/events.ts'),
      exec: () => import('./commands/exec.ts'),
      kill: () => import('./commands/kill.ts'),
      logs: () => import('./commands/logs.ts'),
      pause: () => import('./commands/pause.ts'),
      port: () => import('./commands/port.ts'),
      ps: () => import('./commands/ps.ts'),
      rename: () => import('./commands/rename.ts'),
      restart: () => import('./commands/restart.ts'),
      rm: () => import('./commands/rm.ts'),
      run: () => import('./commands/run.ts'),
      start: () => import('./commands/start.ts'),
      stats: () => import('./commands/stats.ts'),
      stop: () => import('./commands/stop.ts'),
      top: () => import('./commands/top.ts'),
      unpause: () => import('./commands/unpause.ts'),
      update: () => import('./commands/update.ts'),
      wait: () => import('./commands/wait.ts'),
    },
  },
  {
    title: 'Registries',
    commands: {
      'registry catalog': () => import('./commands/registry-catalog.ts'),
      'registry referrers': () => import('./commands/registry-referrers.ts'),
      'registry resolve': () => import('./commands/registry-resolve.ts'),
      'registry rm': () => import('./commands/registry-rm.ts'),
      'registry tags': () => import('./commands/registry-tags.ts'),
    },
  },
  {
    title: 'Networks and volumes',
    commands: {
      'network connect': () => import('./commands/network-connect.ts'),
      'network create': () => import('./commands/network-create.ts'),
      'network disconnect': () => import('./commands/network-disconnect.ts'),
      'network inspect': () => import('./commands/network-inspect.ts'),
      'network ls': () => import('./commands/network-ls.ts'),
      'network prune': () => import('./commands/network-prune.ts'),
      'network rm': () => import('./commands/network-rm.ts'),
      'volume create': () => import('./commands/volume-create.ts'),
      'volume inspect': () => import('./commands/volume-inspect.ts'),
      'volume ls': () => import('./commands/volume-ls.ts'),
      'volume prune': () => import('./commands/volume-prune.ts'),
      'volume rm': () => import('./commands/volume-rm.ts'),
    },
  },
  {
    title: 'Services',
    commands: { serve: () => import('./commands/serve.ts') },
  },
  {
    title: 'For container engines',
    commands: {
      oci: () => import('./commands/oci.ts'),
      'oci create': () => import('./commands/oci-create.ts'),
      'oci delete': () => import('./commands/oci-delete.ts'),
      'oci events': () => import('./commands/oci-events.ts'),
      'oci exec': () => import('./commands/oci-exec.ts'),
      'oci features': () => import('./commands/oci-features.ts'),
      'oci kill': () => import('./commands/oci-kill.ts'),
      'oci list': () => import('./commands/oci-list.ts'),
      'oci pause': () => import('./commands/oci-pause.ts'),
      'oci ps': () => import('./commands/oci-ps.ts'),
      'oci resume': () => import('./commands/oci-resume.ts'),
      'oci run': () => import('./commands/oci-run.ts'),
      'oci spec': () => import('./commands/oci-spec.ts'),
      'oci start': () => import('./commands/oci-start.ts'),
      'oci state': () => import('./commands/oci-state.ts'),
      'oci update': () => import('./commands/oci-update.ts'),
    },
  },
  {
    title: 'About kauri',
    commands: {
      help: () => import('./commands/help.ts'),
      info: () => import('./commands/info.ts'),
      version: () => import('./commands/version.ts'),
    },
  },
]

/** What monitors of containers call; nobody else does, so no help tells of them. */
export const internalCommands: CommandGroup = {
  title: 'Internal',
  isHidden: true,
  commands: {
    'container-ended': () => import('./commands/container-ended.ts'),
    'container-health': () => import('./commands/container-health.ts'),
    'container-restart': () => import('./commands/container-restart.ts'),
    'network-names': () => import('./commands/network-names.ts'),
  },
}

const containerWords =
  'attach commit cp create diff exec export inspect kill logs pause port ps rename restart rm run start stats stop top unpause update wait'.split(
    ' ',
  )

/** Docker's longer words: `container run` is `run`, and `container ls` is `ps`. */
export const containerAliases: CommandGroup = {
  title: 'Containers',
  isHidden: true,
  commands: Object.fromEntries([
    ...commandGroups
      .flatMap(({ commands }) => Object.entries(commands))
      .filter(([name]) => containerWords.includes(name))
      .map(([name, load]) => [`container ${name}`, load] as const),
    ...['ls', 'list'].map(word => [`container ${word}`, () => import('./commands/ps.ts')] as const),
  ]),
}
