"""Simplified Chinese."""

STEPS = {
    "network": (
        "softmax 回归：没有隐藏层的神经网络",
        "{classes} 个输出各有一行权重：Wᵢₖ 连接输出 i 与输入 k。每个 logit 是输入的一个加权和，"
        "softmax 再把这些 logit 变成总和为 1 的份额。",
    ),
    "logits": ("logits（未归一化的得分）", "每个类别一个数，大小与正负不限。后面起作用的只有它们之间的差。"),
    "shift": (
        "减去最大值",
        "所有 logit 可以同减一个常数：它在商里约掉了。减去最大值之后，最大的指数是 0，不会上溢。",
    ),
    "exponentials": ("取指数", "无论 d 是多少，e^d 总为正，而且保持大小顺序。最大的一个恰好是 1。"),
    "sum": ("求和", "所有类别共用这一个数：每个 logit 都通过它影响每个概率。"),
    "probabilities": ("概率", "每个指数在总和中所占的份额：全为正，加起来等于 1。"),
    "graph": (
        "计算图",
        "每个 logit 都能到达每个概率：通过自己的指数到达自己的概率，通过总和到达所有概率。求导分两种情况，原因就在这里。",
    ),
    "hardmax": (
        "hard max 与 soft max",
        "max 是一个数，即最大值；hardmax 在最大值处为 1，其余为 0，它的导数为 0 或不存在。"
        "softmax 是它的光滑替代：温度 T 趋于 0 时，softmax 就变成 hardmax。",
    ),
    "shares": (
        "为什么要用指数？",
        "线性份额要求 logits 为正，而且加一个常数就会变。指数份额对任何 logits 都有定义，只取决于差，并且偏向最大的一个。",
    ),
    "labels": ("目标", "概率应该是多少。这里的标签是 {label}。"),
    "loss": (
        "损失：交叉熵",
        "模型对真实类别的“意外程度”。代入 ln a 之后，既不用先算商，也不用对极小的数取对数：两项都不小于 0，相加没有抵消。",
    ),
    "divergence": (
        "等价于最小化 K-L 散度",
        "KL(y ‖ a) 等于损失减去 y 的熵，而 y 的熵与 logits 无关，所以梯度相同。标签为 one-hot 时熵为 0，二者相等。",
    ),
    "loss-by-probability": ("损失对概率求导", "只有目标不为 0 的类别起作用。真实类别的概率越小，损失越陡。"),
    "quotient": (
        "softmax 求导：商法则，两种情况",
        "eᵢ 只依赖 zᵢ，S 依赖所有 logits。i = j 时分子分母都变，i ≠ j 时只有总和在变。"
        "这里是对 logit z 求导；若对 e^z 求导，结果应为 aᵢ(1 − aᵢ)/e^zᵢ。",
    ),
    "jacobian": (
        "雅可比矩阵",
        "克罗内克符号 δᵢⱼ 在 i = j 时为 1，否则为 0，它把两种情况合成一个式子。矩阵对称，对角线为正，其余为负；"
        "概率之和恒为 1，所以每行之和为 0。",
    ),
    "chain": ("链式法则，逐项展开", "每个 logit 都经由所有概率影响损失：每条路一项。这里展开的是类别 {label}。"),
    "fold": ("合并：a − y", "分母里的 aᵢ 与雅可比矩阵里的 aᵢ 约掉，所有项合起来只剩下：概率减目标。"),
    "matrix": ("写成矩阵", "雅可比矩阵乘以对 a 的梯度。雅可比矩阵是对称的，转置就是它自己。"),
    "push-pull": (
        "推所有，拉一个",
        "沿负梯度方向：每个 logit 都按自己的概率被推下去，只有真实类别被拉上来 1。两股力大小相等，所以 logits 之和不变。",
    ),
    "descent": (
        "梯度下降一步",
        "每个 logit 沿导数的反方向走一步，学习率 η = {η}。损失从 {before} 变为 {after}。",
    ),
    "hessian": (
        "海森矩阵",
        "损失的二阶导数就是 softmax 的雅可比矩阵乘以目标之和。它没有负的特征值：损失是 logits 的凸函数。它的迹为 {trace}。",
    ),
    "sigmoid": (
        "两个类别：sigmoid",
        "在 {one} 与 {other} 之间，起作用的只有两个 logit 之差，softmax 就是这个差的 sigmoid。"
        "一个输出节点 z 加 σ(z)，等于两个输出节点 z 与 0 加 softmax；z = 0 时两者都是 0.5，这就是分界。",
    ),
    "overflow": (
        "什么会上溢",
        "e^800 等于 {power}，float64 已经装不下；float32 止于 e^88.7，float16 止于 e^11.09：inf / inf 得 nan。"
        "减去最大值之后，同一行数据毫无问题。",
    ),
    "cancellation": (
        "什么会抵消",
        "减去最大值能防上溢，防不了抵消。模型很有把握时，a − 1 是两个相近数之差；对其余类别求和得到同一个数，位数却一位不少。"
        "损失也一样：ln(1 + …) 早已舍入掉的部分，log1p 还在。",
    ),
    "bits": (
        "丢的是哪些位",
        "logits 为 16 与 0，标签是第一个。float32 只保留 a 的 24 位：前面一长串 1 之后，几乎没有位可以把它与 1 区分开。"
        "1 − a 算出来是 {got}，真值是 {exact}：相差 {ulps} 个 ulp。",
    ),
    "formats": (
        "三种算法，四种格式",
        "把这一行舍入到各种格式，每次运算只舍入一次。naive：照公式直接算。shifted：先减最大值。"
        "softxent：把舍入误差带下去，用 log1p，并由其余类别求 1 − a。梯度取类别 {label} 的；ulp 按各自的格式计。",
    ),
    "clipping": (
        "为什么交给损失函数的应是 logits，而不是概率",
        "拿到概率的损失函数要靠截断让概率离开 0。logits 为 0 与 20，标签是第一个：概率 {p} 被截断成 {clipped}，"
        "损失不再增长，被截断的值也不再传回梯度。",
    ),
}

NOTES = {
    "impossible": "logit 为 -inf 表示不可能的类别：它的指数为 0，其余类别就当它不存在。",
    "from-probs": "给出的是概率：取对数就得到能还原它们的 logits，再加任何常数也可以。",
    "temperature": "先把 logits 除以温度 T = {T}：小于 1 更尖锐，大于 1 更平缓。",
    "one-class": "只有一个类别就没有选择：无论 logit 是多少，概率都是 1。",
    "shares-negative": "这里出现了负的线性份额：它不是概率。",
    "shares-undefined": "这一行没有线性份额：总和为 0 或无穷。",
    "smoothing": "标签平滑 ε = {ε}：从标签里拿出 ε，平均分给所有类别。",
    "weight": "类别权重为 {w}，分别乘到各类别的目标上。",
    "soft": "软标签：每个类别都分到一部分目标。",
    "mass": "目标之和为 Y = {Y}，不等于 1；下面的公式都带着 Y。",
    "label-impossible": "有目标的类别概率为 0：损失为无穷大，而梯度仍然有限。",
    "soft-negative": "小于 0 的目标不是概率；公式仍然成立，但损失可能为负。",
    "limit": "这里有概率为 0：−y/a 与 a 在乘积中约掉，各项取其极限。",
    "fold-mass": "目标之和为 Y = {Y}，所以梯度是 a·Y − y。只有 Y = 1 时才是 a − y。",
    "one-class-gradient": "只有一个类别时梯度恰好为 0：a·Y 与 y 是同一个数。",
    "pull-many": "目标不是单独一个 1：每个类别都按自己的那一份被拉上来。",
    "jacobian-part": "只显示前八列；完整的矩阵在 JSON 输出里。",
    "descent-up": "损失反而变大：步子太大了，请把 --learning-rate 调小。",
    "descent-flat": "损失不变：这里的梯度为 0。",
    "sigmoid-two": "这里正好只有两个类别：这就是整个 softmax。",
    "sigmoid-many": "这一行还有别的类别；任意两类之间的比值与其余类别无关。",
    "format-overflow": "有的 logit 超出了最小格式的范围：一存进去就成了 inf。",
}

WORDS = {
    "class": "类别", "input": "输入", "quantity": "量", "value": "值", "before": "之前", "after": "之后", "change": "变化",
    "hardmax": "hardmax", "softmax": "softmax", "softmax-at": "softmax,T", "linear": "线性份额", "format": "格式",
    "algorithm": "算法", "loss": "损失", "ulps": "ulp 误差", "label-gradient": "标签的梯度", "naive": "naive",
    "shifted": "shifted", "softxent": "softxent", "exact": "真值", "largest": "最大的数", "overflows-above": "e^x 上溢于",
    "vanishes-below": "e^x 归零于", "limits": "指数函数的尽头", "example-hardmax": "例：1、2、3、4、5。max 是 5，hardmax 在 5 处为 1",
    "example-shares": "例：2、3、5", "example-overflow": "例：123、456、789，float64",
    "example-40": "例：logits 为 40 与 0，标签是第一个，float64", "example-clip": "例：logits 为 0 与 20，float32，截断于 1e-7",
    "own-float32": "这一行，float32", "p-label": "标签的概率", "sigmoid-p": "差的 σ", "sigmoid-rest": "1 − σ，另一类",
    "sigmoid-loss": "两类之间的损失", "from-clipped": "由概率", "from-logits": "由 logits", "with-numbers": "代入数字",
    "why": "为什么", "error": "用 float64 按教科书的方法计算，误差至多 {ulps} ulp", "step": "第 {n} 步，共 {count} 步",
    "title": "为什么梯度是 a − y", "summary": "{classes} 个类别 · 标签 {label} · 损失 {loss}", "summary-soft": "{classes} 个类别 · 软标签 · 损失 {loss}",
    "target-soft": "概率应该是多少。", "gradient": "梯度",
    "part-forward": "从 logits 到概率", "part-loss": "从概率到损失", "part-backward": "回到 logits",
    "part-numerics": "浮点数里的故事", "exactness": "每个数都是真值，只按所示位数舍入一次。",
    "pushes": "◀ 推下去：它的概率", "pulls": "拉上来：它的目标 ▶", "rows": "第 {row} 行，共 {count} 行",
    "mean": "全部 {count} 行的平均损失", "images-title": "网络在看什么", "weights": "权重", "images-weights": "上：权重。蓝色支持该类别，橙色反对。",
    "images-change": "下：这个样本带来的改变，−(a − y)·uᵀ：推所有，拉一个。", "images-example": "样本", "language": "简体中文", "colon": "：",
}  # fmt: skip

PAGE = {
    "title": "为什么梯度是 a − y",
    "lead": "softmax 把 logits 变成概率 a，交叉熵拿它与目标 y 比较。让损失穿过这两步往回传，满满一页导数最后合成一个差。拖动滑块，看看它是怎么发生的。",
    "skip": "跳到正文", "tools": "工具", "other-language": "English", "theme-auto": "◐ 自动", "theme-light": "○ 浅色", "theme-dark": "● 深色",
    "link": "复制链接", "python": "复制 Python", "latex": "复制 LaTeX", "print": "打印", "copied": "已复制", "reset": "复原",
    "play": "你的 logits", "class": "类别", "share": "概率", "logit": "logit", "target": "目标", "hard": "单一标签", "soft-mode": "软标签",
    "target-kind": "目标的种类", "normalise": "使总和为 1", "add": "+ 添加类别", "temperature": "温度", "drop": "去掉",
    "picture": "从 a 指向 y 的箭头", "key-a": "概率 a", "key-a-mass": "概率乘以目标之和，a·Y", "key-y": "目标 y", "key-push": "推：梯度大于 0", "key-pull": "拉：梯度小于 0",
    "lane-probabilities": "概率：箭头的长度就是梯度的大小", "lane-logits": "logits：按 a 推所有，按 y 拉一个",
    "loss-is": "损失 L =", "gradient-title": "梯度，精确到最后一位",
    "derivation": "用你的数字推导一遍", "back": "上一步", "forth": "下一步", "choose-step": "选择步骤", "keys": "也可以用方向键 ← 和 → 翻页。",
    "jacobian-title": "雅可比矩阵：谁牵动谁", "jacobian-text": "行是概率，列是 logit。蓝色随之增大，橙色随之减小。指向一个格子，或用方向键走动。",
    "case-same": "情况 i = j：{i} 对自己的 logit", "case-other": "情况 i ≠ j：{i} 对 {j} 的 logit", "cell-same": "提高 {i} 的 logit，它自己的份额随之提高。", "cell-other": "提高 {j} 的 logit，会从 {i} 的份额里拿走一些。",
    "cell-label": "{i} 对 {j} 的 logit 的导数：{value}", "jacobian-label": "softmax 的雅可比矩阵",
    "descent-title": "推所有，拉一个，一步又一步", "descent-text": "每一步都让 logits 沿负梯度方向移动：所有类别按各自的概率被推下去，目标被拉上来。",
    "descend": "走一步", "run": "连续走", "pause": "暂停", "start-over": "重新开始", "rate": "学习率", "curve-label": "{n} 步之后的损失：{loss}", "steps-done": "{n} 步",
    "descent-line": "取 η = {eta}，下一步把损失从 {before} 变为 {after}。",
    "graph-title": "把网络画成计算图", "graph-text": "每个 logit 都能到达每个概率：通过自己的指数到达自己的，通过总和到达所有的。", "graph-forward": "边的上方是数值，", "graph-backward": "下方是 ∂L/∂。",
    "graph-label": "计算图：从输入经过 logits、指数、总和与份额到达损失", "graph-inputs": "输入", "graph-logits": "logits W·u + b", "graph-exp": "指数", "graph-sum": "总和", "graph-shares": "概率", "graph-loss": "损失",
    "break-title": "把它弄坏", "break-text": "同一行数据，四种格式，三种算法，每次运算舍入一次，与精确的整数运算对照。选一行会上溢、下溢或抵消的数据，或者拖动滑块。",
    "race-caption": "logits 为 {row}；梯度取类别 {label} 的", "race-key": "✓ 至多 1.5 ulp · ≈ 至多 64 · ✗ 更多，或者不是数。ulp 是该格式在真值处相邻两数的间距。",
    "about-naive": "照公式直接算", "about-shifted": "先减最大值", "about-softxent": "会抵消的都留住",
    "preset-overflow": "上溢", "preset-overflow-32": "float32 上溢", "preset-overflow-16": "float16 上溢", "preset-underflow": "下溢", "preset-cancel": "抵消", "preset-cancel-32": "float32 抵消", "preset-equal": "两个巨数", "preset-masked": "被屏蔽的类别", "preset-impossible": "不可能的标签", "preset-default": "回到 4, −4, 3",
    "about-preset-overflow": "e^789 超出所有格式：inf / inf 得 nan。减去最大值，概率就活过来了；而 2.4e-145 的损失，只有在没有抵消的地方才看得见。",
    "about-preset-overflow-32": "e^88.73 对 float32 刚好太大，对 float16 早就太大。", "about-preset-overflow-16": "e^11.1 对 float16 刚好太大。",
    "about-preset-underflow": "e^-745.2 在 float64 里也是 0，naive 于是对 0 取对数。减去最大值之后，损失只是个普通的数。",
    "about-preset-cancel": "模型很有把握，而且答对了。1 − a 是 4.2e-18，不到 1 的半个 ulp：ln S 与 a − 1 在 float64 里也丢了。", "about-preset-cancel-32": "这里 float32 只保住梯度的一位：a − 1 错了 6 %。",
    "about-preset-equal": "把 ln 2 加到一亿上，它就被淹没了；先减最大值则不会。", "about-preset-masked": "logit 为 −∞ 表示不可能的类别。它不起任何作用，也不会冒出 nan。", "about-preset-impossible": "标签是不可能的类别：损失无穷大，梯度却有限。", "about-preset-default": "",
    "slider-label": "{name} 的 logit", "number-label": "{name} 的 logit，填数字或 -inf", "soft-label": "{name} 的目标", "pick-label": "{name} 是真实类别", "name-label": "类别 {name} 的名称", "remove": "移除 {name}",
    "no-number": "不是数字：请输入如 -3.5、1e4 或 -inf", "one-finite": "至少要有一个可能的类别", "metric": "{what} = {value}",
    "bars-label-soft": "{n} 个类别，软标签，损失 {loss}：柱是概率，虚线框是目标，箭头从概率指向目标",
    "bars-label": "{n} 个类别，真实类别为 {label}，损失 {loss}：柱是概率，虚线框是目标，箭头从概率指向目标",
    "table-label": "这一步的数字", "formula-label": "这一步的公式", "announce": "损失 {loss}，{label} 的概率 {a}", "announce-loss": "损失 {loss}",
    "footer": "由 softxent explain 生成。没有改动过的数字是真值，只舍入一次；其余的由本页用同样的算法算出。这个文件不需要网络。",
}  # fmt: skip
