import { memoryStore } from '../../src/store/memory-store.ts'
import { imageStoreContract } from './image-store-contract.ts'

imageStoreContract('memory', () => ({ store: memoryStore(), [Symbol.dispose]: () => {} }))
