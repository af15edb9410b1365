import glob,json,os
fs=sorted(glob.glob('/tmp/exp/data/pkg/package/data/*.txt'))
json.dump([[os.path.basename(f),open(f,encoding='utf8').read()] for f in fs],open('/tmp/exp/data/sotu_all.json','w'))
# a fifth: every 8th for speed
sel=fs[::9]+[]
sel.sort(key=lambda f:hash_(f)) if False else None
import hashlib
sel=sorted(fs[::8],key=lambda f:hashlib.md5(f.encode()).hexdigest())
json.dump([[os.path.basename(f),open(f,encoding='utf8').read()] for f in sel],open('/tmp/exp/data/sotu.json','w'))
print(len(fs),sum(os.path.getsize(f) for f in fs),len(sel),sum(os.path.getsize(f) for f in sel))
# code: the repository's own ts
cs=[]
for r,d,f in os.walk('/work/wt/learn/packages'):
    d[:]=[x for x in d if x not in('node_modules','dist')]
    cs+= [os.path.join(r,x) for x in f if x.endswith('.ts') and 'generated' not in x]
cs=sorted(cs,key=lambda f:hashlib.md5(f.encode()).hexdigest())
json.dump([[os.path.basename(f),open(f,encoding='utf8').read()] for f in cs],open('/tmp/exp/data/code.json','w'))
print(len(cs),sum(os.path.getsize(f) for f in cs))
