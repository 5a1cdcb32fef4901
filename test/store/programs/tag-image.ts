// Stores an image and names it: `tag-image.ts STORE NAME`.

import process from 'node:process'
import { diskStore } from '../../../src/store/disk-store.ts'
import { putNamed } from '../small-image.ts'

const [root = '', name = ''] = process.argv.slice(2)
await putNamed(diskStore(root), name)
