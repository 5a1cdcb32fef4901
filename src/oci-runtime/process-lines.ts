// Processes of a container as the host's ps shows them.

import { runChecked } from '../core/process.ts'

/** The heading and the lines of these processes; `words` are ps's own options. @throws PREREQUISITE_MISSING, PROCESS_FAILED */
export async function processLines(
  processes: readonly number[],
  words: readonly string[],
): Promise<readonly string[]> {
  const { stdout } = await runChecked(['ps', ...(words.length === 0 ? ['-ef'] : words)], {
    env: { PATH: '/usr/bin:/bin' },
    what: 'ps',
    installHint: 'apt-get install procps',
  })
  const [heading = '', ...lines] = stdout.trimEnd().split('\n')
  const column = heading.trim().split(/\s+/).indexOf('PID')
  const wanted = new Set(processes.map(String))
  return [heading, ...lines.filter(line => wanted.has(line.trim().split(/\s+/)[column] ?? ''))]
}
