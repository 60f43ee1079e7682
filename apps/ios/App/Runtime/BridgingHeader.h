#import "ThreadPool.h"
