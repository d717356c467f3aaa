import { testKills } from './kill-everything.ts'

testKills('nginx')
