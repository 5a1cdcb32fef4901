// What happens to a container, as an event with docker's attributes.

import type { ContainerRecord } from './container.ts'
import { writeEvent } from './event-log.ts'

/** Notes it in the event log. */
export function tellEvent(
  runRoot: string,
  { id, name, imageName, labels }: Pick<ContainerRecord, 'id' | 'name' | 'imageName' | 'labels'>,
  action: string,
  attributes: Readonly<Record<string, string>> = {},
): void {
  writeEvent(runRoot, {
    Type: 'container',
    Action: action,
    Actor: { ID: id, Attributes: { ...labels, ...attributes, image: imageName, name } },
  })
}
